"""The command: one seed, one model, weights that start at random included."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from asl.cli import compose
from asl.models import load_embedder
from asl.train import run
from asl.types import UsageError
from tests.training.small_training import command_keys as keys


def trained(photos: Path, output: Path, seed: int) -> dict[str, torch.Tensor]:
    torch.randn(seed + 3)  # whatever was drawn before must not matter
    more = ["trainer.max_steps=1", "loss=cosface_asl", f"seed={seed}", f"output={output}"]
    assert run(compose("train", [*keys(photos), *more])) == 0
    return load_embedder(output).state_dict()


@pytest.mark.filterwarnings("ignore")
def test_a_seed_makes_one_model(photos: Path, tmp_path: Path) -> None:
    first, again, other = (
        trained(photos, tmp_path / name, seed) for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    for name, value in first.items():
        torch.testing.assert_close(value, again[name], rtol=0, atol=0, msg=name)
    assert any(not torch.equal(value, other[name]) for name, value in first.items())


@pytest.mark.filterwarnings("ignore")
def test_only_the_training_that_was_begun_is_gone_on_with(photos: Path, tmp_path: Path) -> None:
    def start(*more: str) -> int:
        return run(
            compose("train", [*keys(photos), "trainer.max_epochs=1", f"output={tmp_path}", *more])
        )

    assert start() == 0
    before = load_embedder(tmp_path).state_dict()
    with pytest.raises(
        UsageError, match=r"other settings \(optim.lr was .*, seed was 0\).*resume=false"
    ):
        start("seed=5", "optim.lr=0.1", "data.workers=1")
    assert start("data.workers=1") == 0, "where it runs may change"
    for name, value in load_embedder(tmp_path).state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0, msg=name)
    assert start("seed=5", "resume=false") == 0
    assert any(
        not torch.equal(value, before[name])
        for name, value in load_embedder(tmp_path).state_dict().items()
    )


@pytest.mark.filterwarnings("ignore")
def test_a_published_set_is_scored_by_the_command_that_is_printed(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, output = tmp_path / "NDEC", tmp_path / "run"
    for role in ("train", "references", "query_images_h5"):
        (root / role).mkdir(parents=True)
        for number in range(8):
            shutil.copy(photos / f"{number}.png", root / role / f"{role[0].upper()}{number:05}.png")
    (root / "public_ground_truth_h5.csv").write_text("query_id,reference_id\nQ00000,R00000\n")
    published = ["data=ndec", f"data.root={root}", "data.every=1", "data.pairs=0"]
    own = [word for word in keys(photos) if not word.startswith(("data=", "data.train="))]
    assert run(compose("train", [*published, *own, "trainer.max_steps=1", f"output={output}"])) == 0
    said = capsys.readouterr().out
    assert f"python -m asl.reproduce benchmark=ndec root={root} model={output}" in said
    assert not (output / "metrics.json").exists()


@pytest.mark.filterwarnings("ignore")
def test_a_training_that_is_prolonged_is_scored_with_its_new_weights(
    photos: Path, tmp_path: Path
) -> None:
    bench = tmp_path / "bench"
    for role in ("queries", "references"):
        shutil.copytree(photos, bench / role)
    lines = ["query_id,reference_id,kind", *(f"{number},{number},copy" for number in range(8))]
    (bench / "truth.csv").write_text("\n".join(lines) + "\n")
    output, hashes = tmp_path / "run", []
    for epochs in (1, 2):
        more = [f"data.benchmark={bench}", f"trainer.max_epochs={epochs}", f"output={output}"]
        assert run(compose("train", [*keys(photos), *more])) == 0
        hashes.append(
            json.loads((output / "features" / "queries" / "manifest.json").read_text())["model"]
        )
    assert hashes[0] != hashes[1]


@pytest.mark.slow
def test_two_processes_that_the_command_starts_itself_leave_one_result(
    photos: Path, tmp_path: Path
) -> None:
    more = [
        "trainer.devices=2",
        "trainer.strategy=ddp",
        "trainer.max_epochs=1",
        "data.identities=2",
        f"output={tmp_path}",
    ]
    done = subprocess.run(
        [sys.executable, "-c", "from asl.cli import main; main()", "train", *keys(photos), *more],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("saved ") == 1
    assert len(load_embedder(tmp_path).state_dict()) > 10


def test_what_lightning_refuses_is_said_in_one_line(
    photos: Path, tmp_path: Path, commands: Path
) -> None:
    if torch.cuda.is_available():
        pytest.skip("needs a machine without a GPU")
    words = [
        commands / "python",
        "-m",
        "asl.train",
        *keys(photos),
        "trainer.accelerator=gpu",
        f"output={tmp_path}",
    ]
    done = subprocess.run(words, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "error: " in done.stderr
