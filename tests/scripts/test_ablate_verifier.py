"""Candidates of the ablation belong to the benchmark that is asked for."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import pytest

from asl.data.catalog import open_catalog
from asl.matching.candidates.local_features import SIFT
from tests.matching.conftest import textured

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
ablate = pytest.importorskip("ablate_verifier", reason="scripts/ is not beside the tests")


def benchmark(folder: Path, query: int, references: list[int]) -> SimpleNamespace:
    for role, numbers in (("queries", [query]), ("references", references)):
        (folder / role).mkdir(parents=True)
        for place, number in enumerate(numbers):
            cv2.imwrite(str(folder / role / f"{place}.png"), textured(number)[..., ::-1])
    return SimpleNamespace(
        queries=open_catalog(folder / "queries"), references=open_catalog(folder / "references")
    )


def test_two_benchmarks_with_the_same_names_share_one_cache(tmp_path: Path) -> None:
    options = SimpleNamespace(each=1, workers=1, cache=tmp_path / "cache")
    for name, references, found in (("one", [1, 2, 3], "1.png"), ("other", [2, 3, 4], "0.png")):
        pairs = ablate.propose(benchmark(tmp_path / name, 2, references), SIFT, options)
        assert pairs.reference_ids.tolist() == [found]
