"""The sample benchmark is generated once, complete or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from asl.data.hard_pair_lists import HardPair
from asl.data.layouts import open_benchmark
from asl.data.sample_benchmark import SamplePlan, sample_benchmark
from asl.data.synthetic_benchmark import BenchmarkPlan


def test_the_sample_is_made_once(tmp_path: Path) -> None:
    small = BenchmarkPlan(copies=4, distractor_queries=2, reverse_crops=1, group_negatives=2)
    plan = SamplePlan(train=5, looks=2, photos=9, groups=1, benchmark=small, height=48, width=64)
    counts: list[tuple[int, int]] = []
    folder = sample_benchmark(
        tmp_path, plan=plan, progress=lambda done, total: counts.append((done, total))
    )
    assert [done for done, _ in counts] == sorted({done for done, _ in counts})
    assert {total for _, total in counts} == {counts[-1][0]}
    stamp = (folder / "manifest.json").stat().st_mtime_ns
    assert (
        sample_benchmark(tmp_path, plan=plan, progress=lambda *_: pytest.fail("it is there"))
        == folder
    )
    assert (folder / "manifest.json").stat().st_mtime_ns == stamp
    benchmark = open_benchmark(folder)
    assert benchmark.hard_pairs == (
        HardPair("T000000", "T000000b"),
        HardPair("T000001", "T000001b"),
    )
    assert benchmark.train is not None
    assert len(benchmark.train) == 7
    assert [path.name for path in tmp_path.iterdir()] == [folder.name], "nothing half-made is left"
