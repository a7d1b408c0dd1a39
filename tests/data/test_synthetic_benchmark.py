"""Benchmarks that are built here: numbers, roles and kinds of their images."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path

import cv2
import pytest

from asl.data.catalog import open_catalog
from asl.data.images import decode_image
from asl.data.layouts import open_benchmark, read_partners
from asl.data.scenes import render_scene
from asl.data.synthetic_benchmark import BenchmarkPlan, BenchmarkSources, build_benchmark
from asl.edits.benchmark_kinds import benchmark_kinds
from asl.types import AslError

PLAN = BenchmarkPlan(copies=6, distractor_queries=4, reverse_crops=3, group_negatives=4, seed=1)


def write(path: Path, seed: int = 0, look: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), render_scene(seed, look=look, height=60, width=80)[..., ::-1])


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> BenchmarkSources:
    root = tmp_path_factory.mktemp("sources")
    for number in range(18):
        write(root / "photos" / f"{number}.jpg", number)
    for group in range(2):
        for look in range(3):
            write(root / "groups" / str(group) / f"{look}.jpg", 100 + group, look)
    for number in range(3):
        write(root / "whole" / f"{number}.jpg", 200 + number)
        image = cv2.imread(str(root / "whole" / f"{number}.jpg"))
        (root / "crops").mkdir(exist_ok=True)
        cv2.imwrite(str(root / "crops" / f"{number}.jpg"), image[10:50, 10:60])
    return BenchmarkSources(
        open_catalog(root / "photos"),
        groups={"scene": [open_catalog(root / "groups" / str(group)) for group in range(2)]},
        crops=(open_catalog(root / "crops"), open_catalog(root / "whole")),
        licences={"photos": "CC0"},
    )


def test_a_benchmark_has_every_kind_and_its_manifest_is_true(
    sources: BenchmarkSources, tmp_path: Path
) -> None:
    folder = build_benchmark(tmp_path / "b", sources, kinds=benchmark_kinds(), plan=PLAN)
    benchmark = open_benchmark(folder)
    counts = Counter(
        kind if kind.startswith("hard:") or kind in ("distractor", "real_crop") else "copy"
        for kind in benchmark.truth.kinds.values()
    )
    hard = {"hard:reverse_crop": 3, "hard:scene": 4, "hard:real_reverse_crop": 1}
    assert counts == {"copy": 6 + 2, "distractor": 4, "real_crop": 2, **hard}
    assert len(benchmark.truth) == 6 + 2 + 2
    manifest = json.loads((folder / "manifest.json").read_text())
    for role in ("queries", "references"):
        for entry in manifest[role]:
            data = (folder / role / f"{entry['id']}.jpg").read_bytes()
            assert hashlib.sha256(data).hexdigest() == entry["sha256"]
    assert manifest["licences"] == {"photos": "CC0"}
    originals = {entry["source"] for entry in manifest["references"]}
    outside = {e["source"] for e in manifest["queries"] if e["kind"] == "distractor"}
    assert not outside & originals, "a distractor query is in no reference"


def test_a_reverse_crop_s_query_holds_more_than_its_reference(
    sources: BenchmarkSources, tmp_path: Path
) -> None:
    folder = build_benchmark(tmp_path / "b", sources, kinds=benchmark_kinds(), plan=PLAN)
    partners = read_partners(folder)
    truth = open_benchmark(folder).truth
    for query, kind in truth.kinds.items():
        if kind == "hard:reverse_crop":
            whole = decode_image(folder / "queries" / f"{query}.jpg")
            part = decode_image(folder / "references" / f"{partners[query]}.jpg")
            assert part.shape[0] * part.shape[1] < 0.75 * whole.shape[0] * whole.shape[1]
            scores = cv2.matchTemplate(whole, part, cv2.TM_CCOEFF_NORMED)
            assert scores.max() > 0.95


def test_the_same_seed_makes_the_same_bytes(sources: BenchmarkSources, tmp_path: Path) -> None:
    folders = [
        build_benchmark(tmp_path / name, sources, kinds=benchmark_kinds(), plan=PLAN)
        for name in ("one", "two")
    ]
    for path in sorted(folders[0].rglob("*.*")):
        assert path.read_bytes() == (folders[1] / path.relative_to(folders[0])).read_bytes(), (
            path.name
        )
    with pytest.raises(AslError, match="exists already"):
        build_benchmark(folders[0], sources, kinds=benchmark_kinds(), plan=PLAN)
    with pytest.raises(AslError, match="the plan takes"):
        build_benchmark(
            tmp_path / "three", sources, kinds=benchmark_kinds(), plan=BenchmarkPlan(copies=99)
        )
