"""A smooth bend explains waves and grids, not another scene; any shape of overlay is answered."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from asl.edits import View
from asl.edits.local_warps import Elastic, GridDistortion
from asl.matching.align.feature_alignment import align, all_matches
from asl.matching.align.prepare import prepare
from asl.matching.evidence.agreement import Comparison
from asl.matching.evidence.bend import matched_flow, unbend
from asl.matching.evidence.overlay import Overlay, lay_over
from asl.matching.values import Settings
from tests.matching.conftest import Image, textured


def gray(image: Image) -> np.ndarray:
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)


def overlay(query: Image, reference: Image) -> Overlay:
    return Overlay(gray(query), gray(reference), np.ones(query.shape[:2], dtype=bool), np.eye(3))


def low(pair: Overlay) -> float:
    return Comparison(pair).quantiles["corr_low"]


@pytest.mark.parametrize(
    "edit", [GridDistortion(strength=(0.3, 0.3)), Elastic(strength=(0.02, 0.02))]
)
def test_a_bent_copy_agrees_after_the_bend(picture: Image, edit: GridDistortion | Elastic) -> None:
    bent = edit(View.original(picture), np.random.default_rng(3)).image
    before = overlay(bent, picture)
    found = unbend(before)
    assert found is not None
    assert low(before) < 0.3 < 0.6 < low(found[0])
    assert found[1]["bend"] > 0.002


@pytest.mark.parametrize("mirrored", [False, True])
def test_matches_lead_a_strong_bend_home(mirrored: bool) -> None:
    """Squares stretched by up to half their side: too far for the flow without the matches."""
    settings, better = Settings(), 0
    for seed in range(6):
        picture = textured(seed, 240, 320)
        bent = GridDistortion(strength=(0.45, 0.5))(
            View.original(picture), np.random.default_rng(seed)
        ).image
        bent = np.ascontiguousarray(bent[:, ::-1]) if mirrored else bent
        query, reference = prepare(bent, settings), prepare(picture, settings)
        readings = all_matches(query, reference, settings)
        main = align(query, reference, readings, settings)[0]
        assert main.mirrored == mirrored
        before = lay_over(query, reference, main)
        assert before is not None
        start = matched_flow(before, main, readings[int(mirrored)], query.shape[1])
        led, alone = unbend(before, start), unbend(before)
        assert led is not None
        assert alone is not None
        better += low(led[0]) > max(0.5, low(alone[0]))
    assert better >= 4


def test_few_matches_suggest_no_flow(picture: Image) -> None:
    side = prepare(picture, Settings())
    readings = all_matches(side, side, Settings())
    main = align(side, side, readings, Settings())[0]
    before = lay_over(side, side, main)
    assert before is not None
    few = readings[0].take(np.arange(len(readings[0])) < 8)
    assert matched_flow(before, main, few, side.shape[1]) is None
    flow = matched_flow(before, main, readings[0], side.shape[1])
    assert flow is not None
    assert np.abs(flow).max() < 1.0, "equal pictures are not bent"


def test_another_picture_does_not(picture: Image, other_picture: Image) -> None:
    found = unbend(overlay(other_picture, picture))
    assert found is not None
    assert low(found[0]) < 0.2


def test_what_walked_on_is_found_elsewhere_and_what_was_pasted_on_is_not(
    picture: Image, other_picture: Image
) -> None:
    scene, subject = np.roll(picture, 7, axis=0), other_picture[40:110, 60:140]
    before, walked, pasted = scene.copy(), scene.copy(), scene.copy()
    before[50:120, 60:140] = subject
    walked[50:120, 72:152] = subject
    pasted[50:120, 72:152] = 255 - other_picture[100:170, 120:200]
    moved = {
        name: unbend(overlay(query, before))
        for name, query in (("walked", walked), ("pasted", pasted))
    }
    assert moved["walked"] is not None
    assert moved["pasted"] is not None
    assert moved["walked"][1]["moved"] > 2 * moved["pasted"][1]["moved"]
    assert moved["walked"][1]["moved"] > 0.3


def test_equal_pictures_are_left_alone(picture: Image) -> None:
    found = unbend(overlay(picture, picture))
    assert found is not None
    assert found[1]["bend"] < 1e-3
    assert low(found[0]) > 0.98


@pytest.mark.parametrize("shape", [(16, 300), (300, 17), (24, 24), (40, 90), (320, 320)])
@pytest.mark.parametrize("content", ["noise", "flat", "picture"])
def test_every_shape_and_content_is_answered(shape: tuple[int, int], content: str) -> None:
    """OpenCV's flow crashes the process on narrow pictures; ours is computed on a square."""
    rng = np.random.default_rng(0)
    pictures = {
        "noise": [rng.uniform(-50, 300, shape).astype(np.float32) for _ in range(2)],
        "flat": [np.full(shape, value, np.float32) for value in (0, 255)],
        "picture": [gray(textured(seed, *shape)) for seed in (1, 2)],
    }[content]
    mask = np.zeros(shape, dtype=bool)
    mask[: shape[0] // 2 + 1] = True
    found = unbend(Overlay(pictures[0], pictures[1], mask, np.eye(3)))
    assert found is not None
    assert np.isfinite(found[0].reference).all()
    assert np.isfinite(list(found[1].values())).all()


def test_too_small_an_overlay_is_not_bent() -> None:
    tiny = np.zeros((9, 40), np.float32)
    assert unbend(Overlay(tiny, tiny, tiny == 0, np.eye(3))) is None
