"""Run commands again with other images under the same names: answers follow the new images."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import pytest
import torch

from asl import reproduce, search
from asl.cli import compose
from asl.data.layouts import open_benchmark
from asl.data.scenes import render_scene
from asl.models import build_embedder, load_embedder, save_embedder
from asl.pipeline.features import embed_benchmark


def draw(folder: Path, prefix: str, seeds: list[int]) -> Path:
    folder.mkdir(parents=True)
    for number, seed in enumerate(seeds):
        cv2.imwrite(
            str(folder / f"{prefix}{number}.png"),
            render_scene(seed, height=96, width=128)[..., ::-1],
        )
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    torch.manual_seed(0)
    save_embedder(
        build_embedder(backbone="mobilenetv3_small_050", neck="none", size=64).eval(), path, card={}
    )
    return path


def best(output: Path) -> dict[str, str]:
    with output.open(newline="") as file:
        return {row["query_id"]: row["reference_id"] for row in csv.DictReader(file)}


def test_queries_of_another_folder_get_answers_of_their_own(model: Path, tmp_path: Path) -> None:
    library = draw(tmp_path / "library", "r", [0, 1, 2, 3])
    output = tmp_path / "p.csv"
    for name, seeds in (("a", [0, 1, 2, 3]), ("b", [3, 2, 1, 0])):
        queries = draw(tmp_path / name, "q", seeds)
        keys = [f"queries={queries}", f"references={library}", f"output={output}", f"model={model}"]
        assert search.run(compose("search", [*keys, "score=cosine", "k=1"])) == 0
        assert best(output) == {
            f"q{number}.png": f"r{seed}.png" for number, seed in enumerate(seeds)
        }


def bench(folder: Path, queries: list[int], references: list[int]) -> Path:
    draw(folder / "queries", "q", queries)
    draw(folder / "references", "r", references)
    right = [f"r{references.index(seed)}" if seed in references else "" for seed in queries]
    truth = "".join(f"q{row},{name}\n" for row, name in enumerate(right))
    (folder / "truth.csv").write_text("query_id,reference_id\n" + truth)
    return folder


def test_a_benchmark_in_the_folder_of_another_is_measured_itself(
    model: Path, tmp_path: Path
) -> None:
    first, second = (
        bench(tmp_path / "a", [0, 1, 2], [0, 1, 2, 3]),
        bench(tmp_path / "b", [3, 2, 9], [3, 4, 2]),
    )
    found = {}
    for output, root in (("one", first), ("one", second), ("fresh", second)):
        keys = [
            "benchmark=folder",
            f"root={root}",
            f"model={model}",
            f"output={tmp_path / output}",
            "bootstrap=0",
        ]
        assert reproduce.run(compose("reproduce", keys)) == 0
        found[output] = json.loads((tmp_path / output / "metrics.json").read_text())["scores"]
        assert found[output]["cosine"]["uap"] == pytest.approx(1.0)
    assert found["one"] == found["fresh"]


def test_what_is_left_of_another_benchmark_is_no_distractor(model: Path, tmp_path: Path) -> None:
    embedder = load_embedder(str(model))
    first, second = (
        bench(tmp_path / "a", [0, 1, 2], [0, 1, 2, 3]),
        bench(tmp_path / "b", [3], [3, 4]),
    )
    embed_benchmark(open_benchmark(first), embedder, tmp_path / "features")
    features = embed_benchmark(
        open_benchmark(second), embedder, tmp_path / "features", regions="coarse"
    )
    assert features.queries.ids.tolist() == ["q0"]
    assert features.references.ids.tolist() == ["r0", "r1"]
    assert [part.ids.tolist() for part in features.reference_regions] == [["r0", "r1"]] * 6
