"""Candidates by learned features: lists, failures, kept indexes; lists fused by their ranks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from asl.matching.candidates.learned_candidates import LEARNED, fused
from asl.matching.candidates.local_candidates import LocalCandidates, local_candidates
from asl.types import AslError, ScoredPairs
from tests.matching.conftest import Image, textured

REFERENCES = [f"r{number}" for number in range(6)]


def load_reference(name: str) -> Image:
    if name == "broken":
        raise AslError("broken: is no image")
    return textured(int(name[1:]))


def load_query(name: str) -> Image:
    kind, number = name.split("-")
    picture = textured(int(number))
    if kind == "blur":
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), 2.0), np.uint8)
    return np.ascontiguousarray(picture[:, ::-1]) if kind == "mirror" else picture


def find(
    queries: list[str], references: list[str] | None = None, **options: Any
) -> LocalCandidates:
    return local_candidates(
        np.array(queries),
        np.array(references or REFERENCES),
        load_query=load_query,
        load_reference=load_reference,
        kind=LEARNED,
        **{"workers": 0, **options},
    )


@pytest.mark.parametrize("kind", ["whole", "blur", "mirror"])
def test_what_was_made_from_a_reference_finds_it(kind: str) -> None:
    found = find([f"{kind}-2", f"{kind}-5"], k=1)
    assert found.failures == {}
    assert found.pairs.query_ids.tolist() == [f"{kind}-2", f"{kind}-5"]
    assert found.pairs.reference_ids.tolist() == ["r2", "r5"]


def test_lists_are_cut_at_k_and_surest_first() -> None:
    pairs = find(["whole-0", "blur-3"], k=2).pairs
    assert np.bincount(pairs.query_index).tolist() == [2, 2]
    for query in range(2):
        assert np.all(np.diff(pairs.scores[pairs.query_index == query]) <= 0)
    with pytest.raises(AslError, match="k: must be 1 or more"):
        find(["whole-0"], k=0)


def test_what_cannot_be_read_is_listed_and_the_rest_stands(tmp_path: Path) -> None:
    keep = tmp_path / "learned.npz"
    found = find(["whole-1"], ["r0", "broken", "r1"], k=1, keep=keep)
    assert found.failures == {"reference:broken": "broken: is no image"}
    assert found.pairs.reference_ids.tolist() == ["r1"]
    assert not keep.exists(), "the image may be readable the next time"


def test_any_number_of_processes_gives_the_same() -> None:
    alone, both = (
        find(["blur-1", "whole-4", "mirror-0"], workers=workers).pairs for workers in (0, 2)
    )
    for name in ("query_index", "reference_index", "scores"):
        np.testing.assert_array_equal(getattr(alone, name), getattr(both, name))


def test_a_kept_index_belongs_to_its_references_and_collection(tmp_path: Path) -> None:
    keep = tmp_path / "learned.npz"
    first = find(["blur-1"], keep=keep, collection="before").pairs

    def images_read(**options: Any) -> int:
        totals: list[int] = []
        found = find(["blur-1"], progress=lambda _, total: totals.append(total), **options)
        np.testing.assert_array_equal(found.pairs.scores, first.scores)
        return totals[-1]

    assert images_read(keep=keep, collection="before") == 1, "only the query"
    assert images_read(keep=keep, collection="after") == 1 + len(REFERENCES)
    keep.write_bytes(keep.read_bytes()[:-2000])
    assert images_read(keep=keep, collection="after") == 1 + len(REFERENCES), "it was cut off"


def test_lists_are_fused_by_their_ranks() -> None:
    queries, references = np.array(["a", "b"]), np.array(["x", "y", "z"])

    def listed(query: list[int], reference: list[int], votes: list[float]) -> ScoredPairs:
        return ScoredPairs(
            queries,
            references,
            np.array(query, np.int64),
            np.array(reference, np.int64),
            np.array(votes, np.float32),
        )

    one = listed([0, 0, 1], [2, 0, 1], [90.0, 3.0, 50.0])
    other = listed([0, 0], [0, 1], [0.7, 0.2])
    pairs = fused([one, other], queries=queries, references=references)
    assert list(zip(pairs.query_ids, pairs.reference_ids, strict=True)) == [
        ("a", "x"),  # second and first
        ("a", "z"),  # first
        ("a", "y"),  # second
        ("b", "y"),
    ]
    assert pairs.scores.tolist() == [1.5, 1.0, 0.5, 1.0]
    nothing = listed([], [], [])
    assert len(fused([nothing, nothing], queries=queries, references=references).scores) == 0
