"""``python -m asl.reproduce``: rows, protocol, what is embedded, what is refused before that."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch

from asl.cli import compose
from asl.data.scenes import render_scene
from asl.models import build_embedder, model_hash, save_embedder
from asl.reproduce import ReproduceConfig, run
from asl.scoring.score import MODES
from asl.types import UsageError


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three queries (crops), four references, six training images; a tiny model."""
    folder = tmp_path_factory.mktemp("reproduce")
    for role in ("queries", "references", "train"):
        (folder / "bench" / role).mkdir(parents=True)
    for number in range(4):
        scene = render_scene(number, height=64, width=80)[..., ::-1]
        cv2.imwrite(str(folder / "bench" / "references" / f"r{number}.png"), scene)
        if number < 3:
            cv2.imwrite(str(folder / "bench" / "queries" / f"q{number}.png"), scene[8:56, 8:72])
    for number in range(6):
        scene = render_scene(50 + number, height=64, width=80)[..., ::-1]
        cv2.imwrite(str(folder / "bench" / "train" / f"t{number}.png"), scene)
    truth = "query_id,reference_id\nq0,r0\nq1,r1\nq2,\n"
    (folder / "bench" / "truth.csv").write_text(truth)
    torch.manual_seed(0)
    embedder = build_embedder(backbone="mobilenetv3_small_050", size=32, dim=8).eval()
    save_embedder(embedder, folder / "m.safetensors", card={})
    return folder


def reproduce(files: Path, output: Path, **keys: Any) -> dict[str, Any]:
    settings = {
        "benchmark": "folder",
        "root": str(files / "bench"),
        "model": str(files / "m.safetensors"),
        "output": str(output),
        "bootstrap": 0,
        "workers": 0,
        **keys,
    }
    assert run(ReproduceConfig(**settings)) == 0
    document: dict[str, Any] = json.loads((output / "metrics.json").read_text())
    return document


def test_without_a_step_that_needs_it_no_training_image_is_embedded(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = reproduce(files, tmp_path)
    assert list(metrics["scores"]) == list(MODES)
    assert metrics["context"]["protocol"] == "10 nearest of every query"
    assert not (tmp_path / "features" / "background").exists()
    assert "10 nearest of every query" in " ".join(capsys.readouterr().out.split())


def test_every_mode_has_a_row_with_score_normalisation(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = reproduce(files, tmp_path, normalize="subtract", background=4, most=9)
    assert list(metrics["scores"]) == [*MODES, *(f"{mode}+SN" for mode in MODES)]
    assert metrics["context"]["protocol"] == "9 best pairs over all queries"
    assert {score["counts"]["predictions"] for score in metrics["scores"].values()} <= set(
        range(10)
    )
    assert metrics["scores"]["cosine"]["counts"]["predictions"] == 9
    printed = capsys.readouterr().out.replace("\n", " ")
    assert "4 of 6 training images are embedded" in printed
    title = (tmp_path / "report.md").read_text().splitlines()[0]
    assert title.endswith("9 best pairs over all queries")


def test_the_verified_row_says_how_long_its_lists_are(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = reproduce(files, tmp_path, verify=True, candidates=2, local_candidates=1)
    assert "verified" in metrics["scores"]
    said = "2 by embeddings, 1 by SIFT and 1 by learned features"
    assert said in metrics["context"]["verified"]
    assert said in capsys.readouterr().out.replace("\n", " ")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"whiten": 6}, "^whiten: must be at most 5 with 6 background images of 8 dim.* got 6"),
        ({"whiten": 9, "background": 0}, "^whiten: must be at most 5"),
        ({"normalize": "subtract", "sn_last": 6}, "^sn_last: rank 6 needs 7 background images"),
        ({"normalize": "zscore"}, "^normalize: expected one of none"),
        ({"benchmark": "nedc"}, "^benchmark: expected one of ndec"),
        ({"sn_weight": 2.0}, "^sn_weight: has no effect with normalize=none"),
        ({"background": 5}, "^background: has no effect without normalize="),
        ({"candidates": 5}, "^candidates: has no effect without verify=true"),
        ({"query_regions": "fine"}, "^query_regions: has no effect without verify=true"),
        ({"verify": True, "candidates": 0}, "^candidates: must be 1 or more, got 0"),
        ({"most": 0}, "^most: must be 1 or more, got 0"),
        ({"root": None}, "^root: needed for folder"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_embedded(
    files: Path, tmp_path: Path, keys: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        reproduce(files, tmp_path / "out", **keys)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("keys", [["local_candidates=-1"], ["candidates=0"], ["background=-1"]])
def test_reproduce_names_a_wrong_number_of_candidates_before_it_embeds(keys: list[str]) -> None:
    name, _, value = keys[0].partition("=")
    with pytest.raises(UsageError, match=f"{name}: must be . or more, got {value}"):
        run(compose("reproduce", ["benchmark=sample", *keys]))


def test_without_an_output_the_results_get_a_folder_of_their_own(tmp_path: Path) -> None:
    for role, seeds in (("queries", (0, 1)), ("references", (0, 1, 2))):
        (tmp_path / "bench" / role).mkdir(parents=True)
        for seed in seeds:
            image = render_scene(seed, height=64, width=80)
            cv2.imwrite(str(tmp_path / "bench" / role / f"{role[0]}{seed}.png"), image[..., ::-1])
    (tmp_path / "bench" / "truth.csv").write_text("query_id,reference_id\nq0,r0\nq1,r1\n")
    embedder = build_embedder(backbone="mobilenetv3_small_050", neck="none", size=64).eval()
    save_embedder(embedder, tmp_path / "m.safetensors", card={})
    keys = ["benchmark=folder", "root=bench", "model=m.safetensors", "bootstrap=0"]
    command = [sys.executable, "-m", "asl.reproduce", *keys]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bench", "m.safetensors", "outputs"]
    output = tmp_path / "outputs" / f"reproduce-folder-{model_hash(embedder)}"
    assert (output / "metrics.json").is_file()
    assert done.stdout.replace("\n", "").endswith(
        f"report: {output.relative_to(tmp_path)}/report.html"
    )
