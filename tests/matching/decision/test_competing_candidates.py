"""Competing candidates: look-alikes beside the true one fall, near-duplicates stay."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from asl.matching.decision.competing_candidates import (
    explained_away,
    near_duplicate_references,
    overlap,
)
from asl.matching.run.verify_pairs import combined_scores
from asl.matching.values import Evidence, Region, Verdict
from asl.types import ScoredPairs

WHOLE = (0.0, 0.0, 1.0, 1.0)
LEFT, RIGHT = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)


def outline(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=np.float32)


def verdict(
    probability: float, box: tuple[float, float, float, float] | None = WHOLE, *, seen: bool = True
) -> Verdict:
    regions = () if box is None else (Region(outline(*box), outline(*WHOLE), False, 0.0, 1.0),)
    return Verdict(probability, Evidence(), regions, "all of the query", "none", seen)


def scores(
    *verdicts: Verdict,
    queries: list[str] | None = None,
    rivals: bool = True,
    kin: dict[tuple[int, int], float] | None = None,
) -> list[float]:
    names = queries or ["q"] * len(verdicts)
    pairs = ScoredPairs.from_ids(
        names, [f"r{row}" for row in range(len(names))], np.zeros(len(names))
    )
    return (
        combined_scores(pairs, dict(enumerate(verdicts)), competition=rivals, near_duplicates=kin)[
            0
        ]
        .round(4)
        .tolist()
    )


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
    assert scores(verdict(0.9), verdict(0.5), queries=["a", "b"]) == pytest.approx(
        [0.9, 0.5], abs=1e-3
    )
    assert scores(verdict(0.9, None), verdict(0.5)) == pytest.approx([0.9, 0.5], abs=1e-3)
    assert scores(verdict(0.9, seen=False), verdict(0.5))[1] == pytest.approx(0.5, abs=1e-3)


def test_references_that_are_copies_of_each_other_are_no_rivals() -> None:
    assert scores(verdict(0.999), verdict(0.8), kin={(0, 1): 1.0}) == pytest.approx(
        [0.999, 0.8], abs=1e-3
    )
    half, strangers = (scores(verdict(0.999), verdict(0.8), kin={(0, 1): p})[1] for p in (0.5, 0.0))
    assert strangers < half < 0.8


def test_kinship_is_asked_where_it_matters_only() -> None:
    asked = []
    verdicts = {
        3: verdict(0.9),
        5: verdict(0.9),
        6: verdict(0.6),
        7: verdict(0.01),
        8: verdict(0.5, None),
        9: verdict(0.3, (0.0, 0.0, 0.1, 0.1)),
    }
    found = near_duplicate_references(
        verdicts, lambda one, other: asked.append((one, other)) or 0.25
    )  # type: ignore[func-returns-value]
    assert asked == [(3, 6), (5, 6)], (
        "not of equals, of the improbable, of what was not found or lies elsewhere"
    )
    assert found == {(3, 6): 0.25, (5, 6): 0.25}


def test_the_embedding_orders_what_the_pixels_find_equal() -> None:
    pairs = ScoredPairs.from_ids(["q"] * 3, ["a", "b", "c"], [0.2, 0.9, 0.5])
    found = combined_scores(pairs, {row: verdict(0.9) for row in range(3)})[0]
    assert found[1] > found[2] > found[0]
    assert found == pytest.approx([0.9] * 3, abs=1e-5)


def spread(count: int, worst: float = 0.6) -> dict[int, Verdict]:
    """Candidates of one query over all of it, each clearly less sure than the one before."""
    odds = np.linspace(6.0, np.log(worst / (1 - worst)), count)
    return {row: verdict(float(1 / (1 + np.exp(-value)))) for row, value in enumerate(odds)}


@pytest.mark.parametrize("count", [2, 3])
def test_all_pairs_of_up_to_three_candidates_are_asked_about(count: int) -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        answers = {(a, b): float(rng.random() ** 0.1) for b in range(count) for a in range(b)}
        assert (
            near_duplicate_references(
                spread(count), lambda one, other, known=answers: known[one, other]
            )
            == answers
        )


def test_near_duplicates_are_asked_about_a_few_times_each_and_stay_all() -> None:
    count, asked = 24, []
    verdicts = spread(count)

    def related(one: int, other: int) -> float:
        asked.append((one, other))
        return 0.999

    kin = near_duplicate_references(verdicts, related)
    assert len(asked) == len(set(asked)) == 2 * count - 3
    assert kin == {(a, b): 0.999 for b in range(count) for a in range(b)}
    assert scores(*verdicts.values(), kin=kin)[-1] == pytest.approx(0.6, abs=0.01)
    assert scores(*verdicts.values())[-1] < 0.01


def test_a_tie_that_was_not_asked_about_is_as_strong_as_the_weakest_between() -> None:
    answers = {(0, 1): 0.97, (0, 2): 0.95, (1, 2): 0.3, (0, 3): 0.99, (1, 3): 0.2}
    found = near_duplicate_references(spread(4), lambda one, other: answers[one, other])
    assert found == {**answers, (2, 3): 0.95}
    chain = {(0, 1): 0.92, (0, 2): 0.99, (1, 2): 0.98, (0, 3): 0.97, (1, 3): 0.99}
    assert (
        near_duplicate_references(spread(4), lambda one, other: chain[one, other])[2, 3] == 0.92
    ), "of the whole family"
    assert near_duplicate_references(spread(4), lambda *_: 0.5) == {
        (a, b): 0.5 for b in range(4) for a in range(b)
    }, "no families"


def test_a_candidate_joins_two_families_into_one() -> None:
    """0 and 1 are level, so nobody asks about them, until 2 turns out to be a copy of both."""
    verdicts = {
        0: verdict(0.99),
        1: verdict(0.99),
        **{row: verdict(p) for row, p in ((2, 0.9), (3, 0.7), (4, 0.5))},
    }
    asked = []

    def related(one: int, other: int) -> float:
        asked.append((one, other))
        return 0.95

    found = near_duplicate_references(verdicts, related)
    assert asked == [(0, 2), (1, 2), (0, 3), (1, 3), (0, 4), (1, 4)]
    assert set(found) == {(a, b) for b in range(5) for a in range(b)} - {(0, 1)}


def test_a_rival_that_was_explained_away_takes_nothing() -> None:
    true, alike, other = (
        verdict(0.999, (0.0, 0.0, 0.6, 1.0)),
        verdict(0.95, WHOLE),
        verdict(0.7, (0.6, 0.0, 1.0, 1.0)),
    )
    assert scores(alike, other)[1] < 0.65
    assert scores(true, alike, other)[2] == pytest.approx(0.7, abs=0.02)


def slow(
    odds: np.ndarray, boxes: list[tuple[float, ...]], kin: dict[tuple[int, int], float]
) -> np.ndarray:
    taken = np.zeros(len(odds))
    for a in np.argsort(-odds).tolist():
        for b in range(len(odds)):
            if odds[b] > odds[a]:
                stranger = 1 - kin.get((min(a, b), max(a, b)), 0.0)
                shared = overlap(outline(*boxes[a]), outline(*boxes[b]))
                taken[a] = max(taken[a], (odds[b] - taken[b] - odds[a]) * shared * stranger)
    return taken


@pytest.mark.parametrize("seed", range(20))
def test_a_loop_finds_the_same_in_any_order_of_the_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    boxes = [tuple(np.sort(rng.random((2, 2)), axis=0).ravel()) for _ in range(7)]
    verdicts = {
        row: verdict(float(p), box)
        for row, (p, box) in enumerate(zip(rng.random(7), boxes, strict=True))
    }
    kin = {(a, b): float(rng.random()) for b in range(7) for a in range(b) if rng.random() < 0.3}
    odds = np.log([v.probability / (1 - v.probability) for v in verdicts.values()])
    queries = np.zeros(7, dtype=np.int64)
    taken, surer = explained_away(queries, odds, verdicts, kin)
    np.testing.assert_allclose(taken, slow(odds, boxes, kin), atol=1e-9)
    assert ((surer >= 0) == (taken > 0)).all()
    order = rng.permutation(7)
    place = {int(old): new for new, old in enumerate(order)}
    turned = {row: verdicts[int(old)] for row, old in enumerate(order)}
    moved = {(min(place[a], place[b]), max(place[a], place[b])): p for (a, b), p in kin.items()}
    np.testing.assert_allclose(explained_away(queries, odds[order], turned, moved)[0], taken[order])


def random_quad(rng: np.random.Generator) -> np.ndarray:
    angles = np.sort(rng.uniform(0, 2 * np.pi, 5))
    return (
        rng.uniform(0.3, 0.7, 2) + 0.3 * np.column_stack([np.cos(angles), np.sin(angles)])
    ).astype(np.float32)


@pytest.mark.parametrize("noise", [0.0, 1e-8, 1e-5, 1e-3, 1e-2, 1.0])
def test_overlap_of_any_two_outlines_is_that_of_their_pixels(noise: float) -> None:
    """Also of outlines whose edges nearly coincide, as those of two look-alikes do."""
    rng = np.random.default_rng(0)
    for _ in range(60):
        first = random_quad(rng)
        second = (
            random_quad(rng)
            if noise == 1.0
            else (first + rng.normal(0, noise, first.shape)).astype(np.float32)
        )
        second = cv2.convexHull(second)[:, 0]  # also turns it round now and then
        drawn = [np.zeros((600, 600), np.uint8) for _ in range(2)]
        for picture, quad in zip(drawn, (first, second), strict=True):
            cv2.fillConvexPoly(picture, np.rint(quad * 16 * 599).astype(np.int32), 1, shift=4)
        union = (drawn[0] | drawn[1]).sum()
        if min(drawn[0].sum(), drawn[1].sum()) > 5000:
            assert overlap(first, second) == pytest.approx(
                (drawn[0] & drawn[1]).sum() / union, abs=0.03
            )
            assert overlap(first, second) == pytest.approx(overlap(second, first), abs=1e-6)


def test_overlap_is_intersection_over_union() -> None:
    assert overlap(outline(*WHOLE), outline(*WHOLE)) == pytest.approx(1.0)
    assert overlap(outline(*WHOLE), outline(*LEFT)) == pytest.approx(0.5)
    assert overlap(outline(*LEFT), outline(*RIGHT)) == pytest.approx(0.0, abs=1e-6)
    assert overlap(outline(*WHOLE), np.zeros((4, 2), np.float32)) == 0.0
    for box in ((0.2, 0.2, 0.7, 0.9), (0.4, 0.0, 0.9, 0.6)):
        assert (
            0.0 < overlap(outline(*WHOLE), outline(*box)[::-1].copy()) < 1.0
        )  # drawn the other way round
