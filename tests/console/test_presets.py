"""A preset touches one concern: its own group; an experiment leaves the machine alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from asl.console.configuration import config_dir
from asl.console.entry import compose
from asl.console.train_words import TARGET_GROUPS, schema_keys
from asl.console.value_types import expected_type

PRESETS = sorted(config_dir().glob("*/*.yaml"))
HARDWARE = {
    "accelerator",
    "devices",
    "num_nodes",
    "strategy",
    "precision",
    "compile",
    "sync_batchnorm",
}


def content(path: Path) -> dict[str, object]:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: f"{path.parent.name}={path.stem}")
def test_a_preset_touches_one_concern(path: Path) -> None:
    tree = content(path)
    group = path.parent.name
    if group == "experiment":
        trainer = tree.get("trainer") or {}
        assert not set(trainer) & HARDWARE, "an experiment is the same on every machine"
        assert set(tree) <= {"defaults", "data", *TARGET_GROUPS, "trainer"}
    else:
        assert "@package" not in path.read_text(encoding="utf-8")
        if group == "trainer":
            assert set(tree) <= HARDWARE
        elif group == "data":
            assert {f"data.{key}" for key in tree} <= schema_keys().keys()
        else:
            assert group in TARGET_GROUPS
            assert "_target_" in tree or "defaults" in tree


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: f"{path.parent.name}={path.stem}")
def test_every_preset_composes(path: Path) -> None:
    words = [f"{path.parent.name}={path.stem}"]
    if path.stem in ("ndec", "disc21") and path.parent.name == "data":
        words.append("data.root=X")
    config = compose("train", words)
    expected = path.stem if path.parent.name == "experiment" else None
    assert config.experiment == expected, "the configuration of a run names its experiment"


def test_the_gpu_preset_leaves_the_recipe_alone() -> None:
    plain, gpu = compose("train"), compose("train", ["trainer=gpu"])
    changed = {key for key, value in vars(gpu.trainer).items() if value != vars(plain.trainer)[key]}
    assert changed <= HARDWARE
    assert changed >= {"accelerator", "precision"}


def test_a_training_composes_in_a_fresh_interpreter() -> None:
    code = (
        "from asl.console.entry import compose; "
        "print(compose('train', ['experiment=asl', 'output=2024_11_30']).output)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "2024_11_30"


def test_values_are_compared_with_hints() -> None:
    def call(
        a: int, b: float | None = None, c: tuple[float, float] = (0.0, 1.0), d: object = None
    ) -> None: ...

    assert expected_type(call, "a", True) == "a whole number"
    assert expected_type(call, "b", "x") == "a number or null"
    assert expected_type(call, "c", 3) == "a list"
    for name, value in (("a", 3), ("b", None), ("b", 2), ("c", [1, 2]), ("d", "x"), ("e", 1)):
        assert expected_type(call, name, value) is None


@pytest.mark.slow
def test_a_sweep_goes_past_a_failing_job(tmp_path: Path, photos: Path) -> None:
    words = [
        *("-m", "data=folder", f"data.train={photos}", "data.workers=0", "data.sizes=[32]"),
        "data.size_starts=[0]",
        *("model.backbone=resnet10t", "model.pretrained=false", "model.size=32"),
        *("trainer.max_epochs=1", "trainer.max_steps=1", "trainer.enable_progress_bar=false"),
        *("trainer.accelerator=cpu", "data.identities=2,1000,2", f"hydra.sweep.dir={tmp_path}"),
    ]
    command = [sys.executable, "-m", "asl.train", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert (tmp_path / "0" / "model.safetensors").is_file()
    assert (tmp_path / "2" / "model.safetensors").is_file()
    assert "1 job(s) of the sweep failed: 1 (" in done.stderr
    assert done.stderr.splitlines()[-1].endswith("failed: 1 (data.identities=1000)")
    assert "Traceback" not in done.stderr


@pytest.fixture
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import cv2

    from asl.data.scenes import render_scene

    folder = tmp_path_factory.mktemp("photos")
    for number in range(4):
        image = render_scene(number, height=48, width=64)
        cv2.imwrite(str(folder / f"{number}.png"), image[..., ::-1])
    return folder
