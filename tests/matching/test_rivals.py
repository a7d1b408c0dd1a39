"""What one reference explains needs no second one: look-alikes beside the true one fall, duplicates stay."""

from __future__ import annotations

import numpy as np
import pytest

from asl.matching.rivals import explained_away, overlap
from asl.matching.values import Evidence, Region, Verdict
from asl.matching.verify import combined_scores
from asl.types import ScoredPairs

WHOLE = (0.0, 0.0, 1.0, 1.0)
LEFT, RIGHT = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)


def outline(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=np.float32)


def verdict(probability: float, box: tuple[float, float, float, float] | None = WHOLE, *, seen: bool = True) -> Verdict:
    regions = () if box is None else (Region(outline(*box), outline(*WHOLE), False, 0.0, 1.0),)
    return Verdict(probability, Evidence(), regions, "all of the query", "none", seen)


def scores(*verdicts: Verdict, queries: list[str] | None = None, rivals: bool = True) -> list[float]:
    names = queries or ["q"] * len(verdicts)
    pairs = ScoredPairs.from_ids(names, [f"r{row}" for row in range(len(names))], np.zeros(len(names)))
    return combined_scores(pairs, dict(enumerate(verdicts)), rivals=rivals)[0].round(4).tolist()


def test_a_look_alike_beside_the_true_one_loses_as_much_as_it_lies_behind() -> None:
    true, alike = scores(verdict(0.9), verdict(0.5))
    assert true == pytest.approx(0.9, abs=1e-3)
    assert alike == pytest.approx(1 / (1 + 9), abs=1e-3)  # odds 1, the rival's 9: 1 * 1 / 9
    assert scores(verdict(0.9), verdict(0.5), rivals=False) == pytest.approx([0.9, 0.5], abs=1e-3)


def test_a_duplicate_of_the_true_one_stays() -> None:
    assert scores(verdict(0.9), verdict(0.9)) == pytest.approx([0.9, 0.9], abs=1e-3)
    assert scores(verdict(0.9), verdict(0.88))[1] > 0.8


def test_parts_of_a_collage_are_no_rivals() -> None:
    assert scores(verdict(0.99, LEFT), verdict(0.6, RIGHT)) == pytest.approx([0.99, 0.6], abs=1e-3)
    half = scores(verdict(0.99, WHOLE), verdict(0.6, LEFT))[1]
    assert scores(verdict(0.99, WHOLE), verdict(0.6, WHOLE))[1] < half < 0.6


def test_candidates_of_other_queries_and_pairs_without_a_region_are_no_rivals() -> None:
    assert scores(verdict(0.9), verdict(0.5), queries=["a", "b"]) == pytest.approx([0.9, 0.5], abs=1e-3)
    assert scores(verdict(0.9, None), verdict(0.5)) == pytest.approx([0.9, 0.5], abs=1e-3)
    assert scores(verdict(0.9, seen=False), verdict(0.5))[1] == pytest.approx(0.5, abs=1e-3)


def test_the_rival_is_named_and_the_order_of_the_pairs_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    boxes = [tuple(np.sort(rng.random((2, 2)), axis=0).ravel()) for _ in range(7)]
    verdicts = {row: verdict(float(p), box) for row, (p, box) in enumerate(zip(rng.random(7), boxes, strict=True))}
    odds = np.log([v.probability / (1 - v.probability) for v in verdicts.values()])
    taken, surer = explained_away(np.zeros(7, dtype=np.int64), odds, verdicts)
    slow = [
        max(
            (max(0.0, odds[b] - odds[a]) * overlap(outline(*boxes[a]), outline(*boxes[b])) for b in range(7) if b != a),
        )
        for a in range(7)
    ]
    np.testing.assert_allclose(taken, slow, rtol=1e-6)
    assert ((surer >= 0) == (taken > 0)).all()
    order = rng.permutation(7)
    turned = {row: verdicts[int(old)] for row, old in enumerate(order)}
    np.testing.assert_allclose(explained_away(np.zeros(7, dtype=np.int64), odds[order], turned)[0], taken[order])


def test_overlap_is_intersection_over_union() -> None:
    assert overlap(outline(*WHOLE), outline(*WHOLE)) == pytest.approx(1.0)
    assert overlap(outline(*WHOLE), outline(*LEFT)) == pytest.approx(0.5)
    assert overlap(outline(*LEFT), outline(*RIGHT)) == pytest.approx(0.0, abs=1e-6)
    assert overlap(outline(*WHOLE), np.zeros((4, 2), np.float32)) == 0.0
    for box in ((0.2, 0.2, 0.7, 0.9), (0.4, 0.0, 0.9, 0.6)):
        assert 0.0 < overlap(outline(*WHOLE), outline(*box)[::-1].copy()) < 1.0  # drawn the other way round
