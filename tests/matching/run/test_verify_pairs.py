"""Pairs in, scores out: copies above look-alikes, in the right direction; failures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from asl.matching import Budget, Settings, verify_pairs
from asl.matching.align.prepare import Prepared
from asl.matching.values import Evidence, Region, Verdict
from asl.types import ScoredPairs
from tests.matching.conftest import Image
from tests.matching.run.conftest import Images


def candidates() -> ScoredPairs:
    return ScoredPairs.from_ids(
        ["crop-1", "crop-1", "crop-2", "7", "broken"],
        ["1", "2", "2", "1", "1"],
        [0.6, 0.9, 0.7, 0.8, 0.95],
    )


def test_workers_and_cache_change_nothing(tmp_path: Path) -> None:
    load = Images()
    serial = verify_pairs(candidates(), load_query=load, load_reference=load)
    for workers, cache in ((2, None), (0, tmp_path), (0, tmp_path)):
        again = verify_pairs(
            candidates(), load_query=load, load_reference=load, workers=workers, cache=cache
        )
        np.testing.assert_array_equal(again.pairs.scores, serial.pairs.scores)
    scores = dict(
        zip(
            zip(*(serial.pairs.query_ids, serial.pairs.reference_ids), strict=True),
            serial.pairs.scores,
            strict=True,
        )
    )
    assert scores["crop-1", "1"] > 0.5 > scores["crop-1", "2"]
    assert serial.failures == {"query:broken": "no image data"}
    assert scores["broken", "1"] < 0.05  # only its embedding speaks for it
    assert len(serial.verdicts) + 1 == len(candidates())


@pytest.mark.parametrize("workers", [0, 2])
def test_progress_counts_the_pairs_that_cannot_be_looked_at_too(workers: int) -> None:
    pairs = ScoredPairs.from_ids(
        ["1", "1", "broken", "broken"], ["broken", "2", "1", "2"], [0.9, 0.8, 0.7, 0.6]
    )
    told: list[tuple[int, int]] = []
    found = verify_pairs(
        pairs,
        load_query=Images(),
        load_reference=Images(),
        workers=workers,
        progress=lambda done, total: told.append((done, total)),
    )
    assert set(found.failures) == {"reference:broken", "query:broken"}
    assert told == [(2, 4), (4, 4)]


class Told:
    """Stub: identifies images by mean brightness; (query, reference) -> probability."""

    settings = Settings()

    def __init__(self, **answers: float) -> None:
        self.asked: list[tuple[int, int]] = []
        self.answers = {
            tuple(map(int, pair.split("_")[1:])): answer for pair, answer in answers.items()
        }

    def prepare(self, image: Image) -> Prepared:
        none = np.empty(0, np.float32)
        return Prepared(image, none.reshape(0, 2), none, none, np.empty((0, 128), np.uint8))

    def verify_prepared(self, query: Prepared, reference: Prepared) -> Verdict:
        pair = int(query.image.mean()), int(reference.image.mean())
        self.asked.append(pair)
        whole = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=np.float32)
        region = Region(whole, whole, False, 0.0, 1.0)
        return Verdict(
            self.answers[pair], Evidence(aligned=1.0), (region,), "all of it", "none", True
        )


def test_a_reference_that_is_explained_away_says_by_which_one() -> None:
    pairs = ScoredPairs.from_ids(["9"] * 3, ["1", "2", "3"], [0.9, 0.8, 0.7])
    told = Told(
        of_9_1=0.7,
        of_9_2=0.99,
        of_9_3=0.75,
        of_1_2=0.02,
        of_2_1=0.01,
        of_2_3=0.05,
        of_3_2=0.995,
        of_1_3=0,
        of_3_1=0,
    )
    load = lambda name: np.full((8, 8, 3), int(name), np.uint8)  # noqa: E731
    found = verify_pairs(
        pairs,
        load_query=load,
        load_reference=load,
        verifier=told,  # type: ignore[arg-type]
    )
    assert found.near_duplicates == {(0, 1): 0.02, (0, 2): 0.0, (1, 2): 0.995}
    alike, true, copy_of_true = found.pairs.scores
    assert true == pytest.approx(0.99, abs=1e-3)
    assert copy_of_true == pytest.approx(0.75, abs=0.01)
    assert alike < 0.2
    reasons = [found.verdicts[row].reason for row in range(3)]
    assert reasons == [
        "all of it; 2 explains this part of the query better",
        "all of it",
        "all of it",
    ]


def test_kin_are_asked_about_the_other_way_round_only_where_that_says_more() -> None:
    pairs = ScoredPairs.from_ids(["9"] * 3, ["1", "2", "3"], [0.9, 0.8, 0.7])
    told = Told(
        of_9_1=0.99,
        of_9_2=0.9,
        of_9_3=0.7,
        of_1_2=0.991,
        of_1_3=0.989,
        of_3_1=0.999,
        of_2_3=0.1,
        of_3_2=0.2,
    )
    load = lambda name: np.full((8, 8, 3), int(name), np.uint8)  # noqa: E731
    found = verify_pairs(
        pairs,
        load_query=load,
        load_reference=load,
        verifier=told,  # type: ignore[arg-type]
    )
    assert told.asked == [(9, 1), (9, 2), (9, 3), (1, 2), (1, 3), (3, 1), (2, 3), (3, 2)]
    assert found.near_duplicates == {(0, 1): 0.991, (0, 2): 0.999, (1, 2): 0.2}


def test_an_original_stays_beside_a_copy_of_it_that_is_nearer_to_the_query(picture: Image) -> None:
    """In a library with reposts the query is nearest to a repost; the original stays certain."""
    repost = np.ascontiguousarray(cv2.GaussianBlur(picture, (0, 0), 1.5)[10:150, 20:200])
    repost[20:45, 30:90] = 250
    images = {"original": picture, "repost": repost, "query": cv2.GaussianBlur(repost, (0, 0), 0.6)}
    pairs = ScoredPairs.from_ids(["query"] * 2, ["original", "repost"], [0.7, 0.9])
    found = verify_pairs(pairs, load_query=images.__getitem__, load_reference=images.__getitem__)
    alone = [found.verdicts[row].probability for row in (0, 1)]
    assert alone[1] > alone[0] > 0.5
    np.testing.assert_allclose(found.pairs.scores, alone, atol=0.05)


def test_a_budget_is_kept_best_first() -> None:
    load = Images()
    one = verify_pairs(candidates(), load_query=load, load_reference=load, budget=Budget(pairs=2))
    assert {candidates().query_ids[row] for row in one.verdicts} <= {"crop-1"}
    none = verify_pairs(
        candidates(), load_query=load, load_reference=load, budget=Budget(seconds=0)
    )
    assert not none.verdicts
    assert (np.argsort(none.pairs.scores) == np.argsort(candidates().scores)).all()
