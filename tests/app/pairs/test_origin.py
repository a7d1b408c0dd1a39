from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from asl.app.library.facts import Facts, read_facts
from asl.app.pairs.origin import Origin, find_origin, origin_votes
from asl.app.pairs.pair_verdict import SAME_FILE, PairVerdict
from asl.data.images import decode_image
from asl.matching.decision.thresholds import read_table, threshold_for
from asl.types import UsageError
from tests.app.conftest import Pixels, encode, textured

WHOLE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
MIDDLE = ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))
EVEN = PairVerdict(0.95, 0.95, WHOLE, WHOLE, 1.0, 1.0)
PLAIN = Facts(1000, 800, 200_000)
LARGE = Facts(2000, 1600, 200_000)
EDITED = Facts(1000, 800, 200_000, camera="Canon", software="Adobe Photoshop")


@pytest.mark.parametrize(
    ("verdict", "first", "second", "norms", "direction", "why"),
    [
        (EVEN, PLAIN, PLAIN, (1.0, 1.0), "unclear", "no cue"),
        (EVEN, Facts(500, 400, 90_000), PLAIN, (1.0, 1.0), "second->first", "more detail"),
        (EVEN, PLAIN, Facts(500, 400, 90_000), (1.0, 1.0), "first->second", "more detail"),
        (
            EVEN,
            PLAIN,
            Facts(1000, 800, 200_000, camera="Canon"),
            (1.0, 1.0),
            "second->first",
            "camera",
        ),
        (
            EVEN,
            EDITED,
            Facts(1000, 800, 200_000, camera="Canon"),
            (1.0, 1.0),
            "second->first",
            "editor",
        ),
        (
            EVEN,
            Facts(1000, 800, 200_000, software="GIMP 2.10"),
            PLAIN,
            (1.0, 1.0),
            "unclear",
            "editor",
        ),
        (EVEN, PLAIN, PLAIN, (3.0, 1.0), "unclear", "feature"),
        (replace(EVEN, overlaid=1), PLAIN, PLAIN, (1.4, 1.0), "second->first", "laid over"),
        (replace(EVEN, overlaid=-1), PLAIN, PLAIN, (1.0, 1.4), "first->second", "laid over"),
        (replace(EVEN, overlaid=1), PLAIN, PLAIN, (2.0, 1.0), "unclear", "laid over"),
        (
            PairVerdict(0.95, 0.75, MIDDLE, WHOLE, 0.25, 1, framed=1),
            LARGE,
            PLAIN,
            (1.0, 1.0),
            "second->first",
            "fit this direction",
        ),
        (
            PairVerdict(0.95, 0.95, MIDDLE, WHOLE, 0.25, 1, framed=1),
            LARGE,
            PLAIN,
            (1.0, 1.6),
            "second->first",
            "in a frame",
        ),
        (
            PairVerdict(0.95, 0.95, MIDDLE, WHOLE, 0.25, 1),
            LARGE,
            PLAIN,
            (1.0, 1.0),
            "first->second",
            "cut from",
        ),
        (
            PairVerdict(0.95, 0.91, WHOLE, WHOLE, 1, 1),
            PLAIN,
            PLAIN,
            (1.0, 1.0),
            "unclear",
            "no cue",
        ),
        (
            PairVerdict(0.95, 0.75, WHOLE, WHOLE, 1, 1),
            PLAIN,
            PLAIN,
            (1.0, 1.0),
            "unclear",
            "fit this direction",
        ),
        (
            PairVerdict(0.95, 0.75, WHOLE, WHOLE, 1, 1),
            PLAIN,
            PLAIN,
            (1.0, 2.0),
            "second->first",
            "fit this direction",
        ),
        (
            # Colours cannot come back, whatever the pixels seem to say.
            PairVerdict(0.92, 0.986, WHOLE, WHOLE, 1, 1, greyed=1),
            PLAIN,
            PLAIN,
            (1.0, 1.0),
            "second->first",
            "colours",
        ),
        (
            PairVerdict(0.99, 0.02, WHOLE, MIDDLE, 1.0, 0.25),
            PLAIN,
            PLAIN,
            (1.0, 1.0),
            "second->first",
            "this direction",
        ),
        (
            PairVerdict(0.02, 0.99, MIDDLE, WHOLE, 0.25, 1.0),
            PLAIN,
            PLAIN,
            (1.0, 1.0),
            "first->second",
            "this direction",
        ),
    ],
)
def test_every_cue_can_decide(
    verdict: PairVerdict,
    first: Facts,
    second: Facts,
    norms: tuple[float, float],
    direction: str,
    why: str,
) -> None:
    origin = find_origin(verdict, first, second, first_log_norm=norms[0], second_log_norm=norms[1])
    assert origin.direction == direction
    assert why in origin.why
    swapped = find_origin(
        verdict.flipped(), second, first, first_log_norm=norms[1], second_log_norm=norms[0]
    )
    assert swapped.vote == pytest.approx(-origin.vote), (
        "the answer does not depend on which one is called first"
    )


def test_a_crop_keeps_fewer_pixels_of_the_shared_part_only_where_it_was_shrunk() -> None:
    cut = PairVerdict(0.9, 0.9, WHOLE, MIDDLE, 1.0, 0.95)
    same_scale = find_origin(cut, Facts(500, 400, 200_000), PLAIN)
    assert not same_scale.clear, "a quarter of the area, a quarter of the pixels: no cue"


def test_equal_files_are_known_by_what_was_compared_and_not_by_the_words() -> None:
    fuller = Facts(1000, 800, 250_000)
    for verdict in (
        SAME_FILE,
        SAME_FILE.flipped(),
        PairVerdict.from_json(SAME_FILE.to_json()),
    ):
        assert find_origin(replace(verdict, reason="in other words"), PLAIN, fuller) == Origin(
            0.0, "the same file"
        )
    assert find_origin(replace(EVEN, reason=SAME_FILE.reason), PLAIN, fuller).why == "larger file"


def facts_of(image: Pixels, kind: str = "JPEG", **options: object) -> Facts:
    data = encode(image, kind, **options)
    return read_facts(data, decode_image(data))


@pytest.mark.parametrize("scale", [1.3, 2.0, 5.0])
def test_an_enlarged_copy_has_more_pixels_but_no_more_detail(scale: float) -> None:
    image = textured(3)
    size = (round(400 * scale), round(300 * scale))
    small, large = facts_of(image), facts_of(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC))
    assert not find_origin(EVEN, small, large).clear
    shrunk = facts_of(
        cv2.resize(image, (round(400 / scale), round(300 / scale)), interpolation=cv2.INTER_AREA)
    )
    assert find_origin(EVEN, shrunk, small).direction == "second->first"
    unmeasured = Facts(large.width, large.height, large.bytes, "JPEG")
    assert find_origin(EVEN, small, unmeasured).direction == "second->first", (
        "of an earlier version's store"
    )


@pytest.mark.parametrize("scale", [1.3, 1.6, 2.2])
def test_letters_around_an_enlarged_picture_are_no_detail_of_it(scale: float) -> None:
    photo = textured(3)
    size = (round(400 * scale), round(300 * scale))
    shown = cv2.resize(photo, size, interpolation=cv2.INTER_CUBIC)
    margin = 60
    page = np.full((size[1] + 2 * margin, size[0] + 2 * margin, 3), 250, np.uint8)
    for line in range(10, page.shape[0], 20):
        cv2.putText(page, "sharp letters " * 9, (3, line), cv2.FONT_HERSHEY_PLAIN, 1, (0, 0, 0))
    page[margin:-margin, margin:-margin] = shown
    left, top = margin / page.shape[1], margin / page.shape[0]
    outline = ((left, top), (1 - left, top), (1 - left, 1 - top), (left, 1 - top))
    pair = PairVerdict(0.9, 0.9, WHOLE, outline, 1.0, 0.7)
    votes = origin_votes(pair, facts_of(photo, quality=90), facts_of(page, quality=90))
    assert "more detail in the shared part" not in [why for _, why in votes]
    larger = cv2.resize(textured(3, 1200, 1600), (1600, 1200))
    page[margin:-margin, margin:-margin] = cv2.resize(larger, size, interpolation=cv2.INTER_AREA)
    votes = origin_votes(pair, facts_of(larger, quality=90), facts_of(page, quality=90))
    seen = [vote for vote, why in votes if why == "more detail in the shared part"]
    assert len(seen) == (1600 / size[0] > 1.2)
    assert all(vote < 0 for vote in seen), "the photograph is the original"


def test_a_camera_raw_is_the_original_of_what_was_exported_from_it() -> None:
    photo = facts_of(textured(3), quality=80)
    raw = replace(photo, format="camera RAW", width=200, height=150)
    origin = find_origin(EVEN, photo, raw)
    assert (origin.direction, origin.why) == ("second->first", "the RAW file of a camera")
    assert find_origin(EVEN, raw, photo).direction == "first->second"
    assert not find_origin(EVEN, raw, raw).clear


@pytest.mark.parametrize("kind", ["PNG", "BMP"])
def test_a_jpeg_is_the_original_of_a_lossless_file_with_its_pixels(kind: str) -> None:
    photo = facts_of(textured(3), quality=80)
    pixels = decode_image(encode(textured(3), quality=80))
    origin = find_origin(EVEN, facts_of(pixels, kind), photo)
    assert (origin.direction, origin.why) == (
        "second->first",
        "a JPEG, whose very pixels the other one holds",
    )
    changed = pixels.copy()
    changed[0, 0, 0] ^= 1
    assert not find_origin(EVEN, facts_of(changed, kind), photo).clear
    assert not find_origin(EVEN, facts_of(pixels, kind), facts_of(pixels, "TIFF")).clear, (
        "neither lost anything"
    )


def test_a_photograph_left_with_256_colours_is_the_copy() -> None:
    photo = textured(3) ^ np.random.default_rng(0).integers(0, 8, (300, 400, 3), dtype=np.uint8)
    origin = find_origin(EVEN, facts_of(photo, "GIF"), facts_of(photo), first_log_norm=2.0)
    assert (origin.direction, "256 colours" in origin.why) == ("second->first", True)
    drawing = np.full((300, 400, 3), 255, np.uint8)
    cv2.circle(drawing, (200, 150), 90, (200, 30, 40), -1)
    assert not facts_of(drawing, "PNG").few_colours, "a drawing has few colours from the start"
    assert not facts_of(np.repeat(photo[..., :1], 3, axis=2), "PNG").few_colours, (
        "as has a grey photograph"
    )


def test_a_larger_file_leans_only_within_a_format() -> None:
    jpeg, larger = Facts(1000, 800, 200_000, "JPEG"), Facts(1000, 800, 900_000, "JPEG")
    origin = find_origin(EVEN, jpeg, larger)
    assert (origin.clear, origin.why, origin.vote) == (False, "larger file", pytest.approx(0.2))
    assert find_origin(EVEN, larger, jpeg).vote == pytest.approx(-0.2)
    assert find_origin(EVEN, jpeg, Facts(1000, 800, 240_000, "JPEG")).vote == 0, (
        "a fifth more is not enough"
    )
    assert find_origin(EVEN, jpeg, Facts(1000, 800, 900_000, "PNG")).vote == 0


def test_a_threshold_comes_from_the_table_or_is_the_probability_itself() -> None:
    table = read_table(
        [{"precision": 0.9, "threshold": 0.4}, {"precision": 0.99, "threshold": 0.83}]
    )
    assert threshold_for(0.99, table) == 0.83
    assert threshold_for(0.95, table) == 0.83, "the next stricter row"
    assert threshold_for(0.999, table) == 0.999, (
        "no row is strict enough: the calibrated probability itself"
    )
    assert read_table({"0.9": 0.4}) == ((0.9, 0.4),)
    assert read_table(None) == ()
    with pytest.raises(UsageError, match="precision"):
        threshold_for(0.2, table)
