"""Comparisons of a query: in threads, in time, with errors, and of promising candidates alone."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import pytest

from asl import CopyDetector
from asl.app.candidate_comparer import best_cosines, compare_until
from asl.app.detector import Compare
from asl.app.library.vectors import VectorView
from asl.app.matches import Match, Matches
from asl.app.scanning.pair_prospects import PairProspects
from asl.models import Embedder
from asl.types import AslError, UsageError
from tests.app.conftest import textured


def test_after_the_end_only_the_first_ten_are_compared() -> None:
    def compare(row: int) -> Match | None:
        return None if row == 3 else matches[row]

    matches = [cast(Match, f"match {row}") for row in range(30)]
    with ThreadPoolExecutor(2) as threads:
        expected: list[Match | None] = [*matches[:3], None, *matches[4:]]
        assert compare_until(range(30), 0.0, compare, threads) == expected[:10]
        assert compare_until(range(30), math.inf, compare, threads) == expected


def test_an_error_in_a_comparison_is_raised() -> None:
    def compare(row: int) -> Match | None:
        raise AslError(f"{row}: damaged")

    with ThreadPoolExecutor(2) as threads, pytest.raises(AslError, match="0: damaged"):
        compare_until(range(4), math.inf, compare, threads)


def test_one_thread_and_several_give_the_same_answers(
    photos: Path, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One thread compares the candidates one after the other: the oracle."""
    blurred = cv2.GaussianBlur(textured(0), (0, 0), 2)
    answers = []
    for cores in (1, 4):
        monkeypatch.setattr("asl.app.candidate_comparer.usable_cores", lambda cores=cores: cores)
        with CopyDetector(embedder) as detector:
            detector.add(photos)
            asked = [photos / "sub" / "small-1.png", blurred, textured(7)]
            answers.append([list(detector.query(one, min_probability=0)) for one in asked])
    assert answers[0] == answers[1]
    assert all(len(matches) > 3 for matches in answers[0])


def test_promising_candidates_give_the_matches_of_all(
    photos: Path, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All candidates are compared: the oracle; drawn pictures are alike to every embedder."""
    rule = PairProspects(
        "",
        compared_cosine=0.9999,
        least_agreeing=5,
        untold_cosine=0.0,
        tested_cosine=0.58,
        tested_votes=1.5,
    )
    monkeypatch.setattr("asl.app.detector.prospects_of", lambda _: rule)
    asked = [
        photos / "sub" / "crop-of-0.jpg",
        cv2.GaussianBlur(textured(1), (0, 0), 1.5),
        cv2.flip(textured(2), 1),
        textured(9),
    ]
    found: dict[Compare, list[Matches]] = {}
    for compare in ("all", "promising"):
        with CopyDetector(embedder, compare=compare) as detector:
            detector.add(photos)
            found[compare] = [detector.query(one) for one in asked]
    assert [list(one) for one in found["promising"]] == [list(one) for one in found["all"]]
    counts = {name: sum(one.compared for one in many) for name, many in found.items()}
    assert 0 < counts["promising"] <= counts["all"] / 2


def test_a_model_without_a_rule_compares_all(photos: Path, embedder: Embedder) -> None:
    with CopyDetector(embedder, compare="promising") as detector:
        detector.add(photos)
        assert detector.query(textured(9), min_probability=0).compared == len(detector)


def test_other_words_are_refused(embedder: Embedder) -> None:
    with pytest.raises(UsageError, match="compare: must be one of all, promising; got some"):
        CopyDetector(embedder, compare=cast(Compare, "some"))


def test_cosines_are_the_highest_of_wholes_and_regions() -> None:
    rng = np.random.default_rng(0)
    query, vectors = rng.normal(size=(3, 4)), rng.normal(size=(5, 4))
    for regions in (rng.normal(size=(5, 2, 4)), np.empty((5, 0, 4))):
        view = VectorView(["a"] * 5, vectors, regions, np.zeros(5), np.ones(5, np.bool_))
        for row, cosine in zip((4, 1), best_cosines(query, view, np.array([4, 1])), strict=True):
            every = [vectors[row] @ one for one in query]
            every += [region @ query[0] for region in regions[row]] or [-1.0]
            assert cosine == pytest.approx(max(every))
