"""Hydra composes a training: presets, sweeps, one-line errors.

A preset touches one concern: its own group; an experiment leaves the machine alone.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from asl.cli import compose, start
from asl.console.configuration import config_dir
from asl.console.schemas.train_config import TrainConfig
from asl.console.train_words import TARGET_GROUPS, schema_keys
from asl.types import UsageError

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


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "asl.train", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


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
    if words == ["data=folder"]:
        words.append("data.train=X")
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
        "from asl.cli import compose; "
        "print(compose('train', ['experiment=asl', 'output=2024_11_30']).output)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "2024_11_30"


@pytest.mark.slow
def test_a_sweep_goes_past_a_failing_job(tmp_path: Path, photos: Path, commands: Path) -> None:
    words = [
        *("-m", "data=folder", f"data.train={photos}", "data.workers=0", "data.sizes=[32]"),
        "data.size_starts=[0]",
        *("model.backbone=resnet10t", "model.pretrained=false", "model.size=32"),
        *("trainer.max_epochs=1", "trainer.max_steps=1", "trainer.enable_progress_bar=false"),
        *("trainer.accelerator=cpu", "data.identities=2,1000,2", f"hydra.sweep.dir={tmp_path}"),
    ]
    command = [commands / "python", "-m", "asl.train", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert (tmp_path / "0" / "model.safetensors").is_file()
    assert (tmp_path / "2" / "model.safetensors").is_file()
    assert "1 job of the sweep failed: 1 (" in done.stderr
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


@pytest.mark.parametrize(
    "override", ["data.sizes=[1,a(b", "=3", "data.train", "trainer.devices=cpu\n"]
)
def test_a_value_that_cannot_be_read_is_one_line(override: str, tmp_path: Path) -> None:
    done = run(override, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_misspelt_key_fails_and_says_what_is_near(tmp_path: Path) -> None:
    done = run("data.trian=x", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.strip() == "error: unknown key 'data.trian'; did you mean data.train?"
    assert not any(tmp_path.iterdir()), "wrong use leaves nothing behind"


def test_a_folder_without_its_images_is_wrong_use_at_once(tmp_path: Path) -> None:
    done = run("data=folder", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: data.train: needed with data=folder")
    assert len(done.stderr.splitlines()) == 1
    assert not any(tmp_path.iterdir()), "wrong use leaves nothing behind"


def test_an_unknown_option_lists_the_known_ones(tmp_path: Path) -> None:
    done = run("data=smaple", cwd=tmp_path)
    assert done.returncode == 2
    assert "sample" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["seed=x"], "seed"),
        (["trainer.max_epochs=2.5"], "trainer.max_epochs"),
        (["loss=nothing"], "loss"),
        (["+data.more=1"], "unknown key 'data.more'"),
        (["optim=nothing"], "optim"),
        (["data.sizes=64"], "data.sizes: expected a list, such as [64], got 64"),
        (["data.sizes=[a]"], "data.sizes[0]: expected a whole number, got a"),
        (["data.views="], "data.views: expected a whole number, got ''"),
        (["data.views=null"], "data.views: expected a value, got null"),
        (["trainer.ema=x"], "trainer.ema: expected a number, got x"),
        (["resume=maybe"], "resume: expected true or false, got maybe"),
        (["trainer.extra=5"], "trainer.extra: expected keys of its own, got 5"),
        (["trainer.extra=[1,2]"], "trainer.extra: expected keys of its own, got [1,2]"),
        (["data.sizes={a:1}"], "data.sizes: expected a list, such as [64], got {a:1}"),
        (["model=5"], "model: expected one of efficientnet_b0, "),
        (["data="], "data: expected one of disc21, folder, ndec, sample, got ''"),
        (["loss=asl,rdcd"], "loss: expected one value, got asl,rdcd; write a list in brackets, or"),
    ],
)
def test_wrong_words_are_usage_errors_before_anything_runs(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        compose("train", words)
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert start("train", words) == 2
    assert not any(tmp_path.iterdir())


def test_an_output_that_cannot_be_made_is_one_line(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "run"
    assert start("train", ["data=folder", f"data.train={photos}", f"output={place}"]) == 2
    said = capsys.readouterr().err
    assert (
        said == f"error: output: {tmp_path / 'file'} is a file, not a folder; choose another path\n"
    )


def test_keys_reach_the_schema() -> None:
    config = compose(
        "train",
        [
            "seed=7",
            "trainer.max_epochs=3",
            "data.sizes=[64,96]",
            "data.size_starts=[0,1]",
            "model.dim=8",
        ],
    )
    assert isinstance(config, TrainConfig)
    assert (config.seed, config.trainer.max_epochs, config.data.sizes) == (7, 3, [64, 96])
    assert config.model["dim"] == 8


def test_the_first_job_of_a_sweep_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert start("train", ["-m", "seed=1,2", "data.trian=x"]) == 2
    printed = capsys.readouterr().err
    assert printed == "error: unknown key 'data.trian'; did you mean data.train?\n"
    assert not any(tmp_path.iterdir()), "no job was started"


@pytest.mark.parametrize("flag", ["--config-dir", "-cd"])
def test_a_folder_of_further_configuration_is_checked_first(
    flag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "deep.yaml").write_text("[" * 5000)
    assert start("train", [flag, str(tmp_path)]) == 2
    assert "deep.yaml: is nested more than" in capsys.readouterr().err
    assert start("train", [f"--config-dir={tmp_path}"]) == 2


@pytest.mark.parametrize("flags", [["--config-dir", "own, mine"], ["--config-dir=own, mine"]])
def test_presets_of_a_folder_of_ones_own_are_known(
    flags: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own, mine" / "loss").mkdir(parents=True)
    (tmp_path / "own, mine" / "loss" / "mine.yaml").write_text(
        "_target_: asl.losses.WeightedSum\nweights: {x: 1.0}\nparts: {x: {_target_: asl.y.Z}}\n"
    )
    assert start("train", [*flags, "loss=mine"]) == 2
    assert "loss.parts.x._target_: asl.y.Z is not allowed" in capsys.readouterr().err
    assert start("train", ["loss=mine"]) == 2
    printed = capsys.readouterr().err
    assert "error: loss: expected one of " in printed
    assert "got 'mine'; --config-dir" in printed
    assert len(printed.splitlines()) == 1


@pytest.mark.parametrize("target", ["os.system", "torch.hub.load", "asl.models.io.load_embedder"])
def test_a_refused_target_leaves_no_file(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert start("train", [f"model._target_={target}"]) == 2
    assert target in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
