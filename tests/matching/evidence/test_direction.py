"""Who holds more of the scene: shares, seams and padding of pairs with a known map."""

from __future__ import annotations

import numpy as np
import pytest

from asl.matching.align.prepare import prepare
from asl.matching.evidence.direction import coverage
from asl.matching.values import Alignment, Settings
from tests.matching.conftest import Image, textured

WHOLE = textured(5, 240, 320)
TOP, LEFT, HEIGHT, WIDTH = 40, 60, 160, 200


def looked(query: Image, reference: Image, matrix: np.ndarray) -> dict[str, float]:
    sides = (
        prepare(np.ascontiguousarray(query), Settings()),
        prepare(np.ascontiguousarray(reference), Settings()),
    )
    scales = [
        side.shape[1] / image.shape[1]
        for side, image in zip(sides, (query, reference), strict=True)
    ]
    working = (
        np.diag([scales[0], scales[0], 1]) @ matrix @ np.diag([1 / scales[1], 1 / scales[1], 1])
    )
    return coverage(*sides, [Alignment(working)])


def moved(x: float, y: float) -> np.ndarray:
    return np.array([[1.0, 0, x], [0, 1, y], [0, 0, 1]])


CROP = WHOLE[TOP : TOP + HEIGHT, LEFT : LEFT + WIDTH]
SHARE = HEIGHT * WIDTH / (240 * 320)


def test_a_crop_is_all_explained_by_a_part_of_its_source() -> None:
    values = looked(CROP, WHOLE, moved(-LEFT, -TOP))
    assert values["cover_query"] == pytest.approx(1.0, abs=0.02)
    assert values["cover_reference"] == pytest.approx(SHARE, abs=0.02)
    assert values["inside_reference"] > 0.95
    assert values["inside_query"] < 0.05
    assert abs(values["seam_reference"]) < 0.6, "the scene goes on where the crop ends"


def test_asked_the_other_way_round_everything_changes_sides() -> None:
    there, back = looked(CROP, WHOLE, moved(-LEFT, -TOP)), looked(WHOLE, CROP, moved(LEFT, TOP))
    for name in ("cover", "inside", "seam", "edge", "join", "break", "echo"):
        assert there[f"{name}_query"] == pytest.approx(back[f"{name}_reference"], abs=0.02)
        assert there[f"{name}_reference"] == pytest.approx(back[f"{name}_query"], abs=0.02)


def test_a_picture_pasted_into_another_has_an_edge_around_it() -> None:
    scene = textured(9, 240, 320) // 3
    scene[TOP : TOP + HEIGHT, LEFT : LEFT + WIDTH] = 255 - CROP // 3
    pasted = looked(scene, 255 - CROP // 3, moved(LEFT, TOP))
    wider = looked(WHOLE, CROP, moved(LEFT, TOP))
    assert pasted["seam_query"] > wider["seam_query"] + 0.5
    assert pasted["edge_query"] > 0.7 > 0.4 > wider["edge_query"], (
        "along all of the outline, or here and there"
    )
    assert pasted["outside_flat"] < 0.5


def test_a_scene_goes_on_across_the_outline_where_it_was_cut_even_along_an_edge() -> None:
    scene = WHOLE.astype(int)
    scene[:, :LEFT] -= 90  # the left side of the crop lies along an edge of the scene
    scene[:, LEFT + WIDTH :] += 60
    scene = np.clip(scene, 0, 255).astype(np.uint8)
    cut = looked(scene[TOP : TOP + HEIGHT, LEFT : LEFT + WIDTH], scene, moved(-LEFT, -TOP))
    assert cut["join_reference"] > 0.7
    assert cut["join_query"] == cut["break_query"] == cut["echo_query"] == 0.0, (
        "no outline inside the crop"
    )


def test_a_picture_pasted_into_another_breaks_off() -> None:
    blocks = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    scene = blocks.repeat(8, axis=0).repeat(8, axis=1)
    scene[TOP : TOP + HEIGHT, LEFT : LEFT + WIDTH] = CROP
    pasted, wider = looked(scene, CROP, moved(LEFT, TOP)), looked(WHOLE, CROP, moved(LEFT, TOP))
    assert pasted["join_query"] < 0.5 < 0.7 < wider["join_query"]
    assert pasted["break_query"] > wider["break_query"] + 0.4


def test_a_reflected_border_echoes() -> None:
    y, x = (
        np.pad(np.arange(side), around, mode="symmetric")
        for side, around in ((HEIGHT, 40), (WIDTH, 60))
    )
    padded = CROP[y][:, x]
    values, wider = looked(padded, CROP, moved(60, 40)), looked(WHOLE, CROP, moved(LEFT, TOP))
    assert values["echo_query"] > 0.9 > wider["echo_query"] + 0.2


def test_plain_padding_goes_on_nowhere() -> None:
    padded = np.full((240, 320, 3), 255, np.uint8)
    padded[TOP : TOP + HEIGHT, LEFT : LEFT + WIDTH] = CROP
    values = looked(padded, CROP, moved(LEFT, TOP))
    assert abs(values["join_query"]) < 0.05
    assert abs(values["echo_query"]) < 0.05


def test_plain_padding_is_seen() -> None:
    padded = np.full((240, 320, 3), 255, np.uint8)
    padded[TOP : TOP + HEIGHT, LEFT : LEFT + WIDTH] = CROP
    values = looked(padded, CROP, moved(LEFT, TOP))
    assert values["outside_flat"] > 0.9
    assert values["cover_query"] == pytest.approx(SHARE, abs=0.02)
    assert values["cover_reference"] == pytest.approx(1.0, abs=0.02)


def test_several_regions_of_one_pair_add_up() -> None:
    side = prepare(WHOLE, Settings())
    left, right = np.diag([0.5, 1.0, 1.0]), moved(160, 0) @ np.diag([0.5, 1.0, 1.0])
    one = coverage(side, side, [Alignment(left)])["cover_query"]
    both = coverage(side, side, [Alignment(left), Alignment(right)])["cover_query"]
    assert one == pytest.approx(0.5, abs=0.02)
    assert both == pytest.approx(1.0, abs=0.02)


def test_what_two_regions_cover_counts_once() -> None:
    side = prepare(WHOLE, Settings())
    part, shifted = np.diag([0.5, 1.0, 1.0]), moved(40, 0) @ np.diag([0.5, 1.0, 1.0])
    again = coverage(side, side, [Alignment(part), Alignment(part)])["cover_query"]
    overlapping = coverage(side, side, [Alignment(part), Alignment(shifted)])["cover_query"]
    assert again == pytest.approx(0.5, abs=0.02)
    assert overlapping == pytest.approx(0.5 + 40 / 320, abs=0.02)
