"""Probable edits: each drawn edit is named, and no other; sizes and formats count."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from asl import CopyDetector
from asl.app.library.facts import Facts
from asl.app.pairs.edits_seen import directed_edits, likely_edits, undirected_edits
from asl.app.pairs.pair_verdict import SAME_FILE, SAME_PIXELS, PairVerdict
from asl.matching import Verifier
from asl.models import Embedder
from tests.app.conftest import textured

Pixels = np.ndarray
WHOLE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


def coded(image: Pixels, quality: int) -> Pixels:
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def noisy(image: Pixels) -> Pixels:
    noise = np.random.default_rng(3).normal(0, 20, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def watermarked(image: Pixels) -> Pixels:
    layer = image.copy()
    for row in range(20, image.shape[0], 40):
        for column in range(-30, image.shape[1], 110):
            place = (column + row % 60, row)
            cv2.putText(layer, "sample", place, cv2.FONT_HERSHEY_SIMPLEX, 0.7, (255, 255, 255), 2)
    return layer


@pytest.fixture(scope="module")
def photo() -> Pixels:
    """A drawn photograph: coarse shapes and a fine texture."""
    image = textured(0, 240, 320).astype(np.float32)
    texture = np.random.default_rng(7).normal(0, 24, (120, 160, 3)).astype(np.float32)
    image += cv2.GaussianBlur(cv2.resize(texture, (320, 240)), (0, 0), 1.0)
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda image: 255 - image, "inverted"),
        (lambda image: np.ascontiguousarray(image[..., ::-1]), "colour channels swapped"),
        (noisy, "noise added"),
        (lambda image: cv2.GaussianBlur(image, (0, 0), 3.0), "blurred"),
        (watermarked, "over it|covered"),
        (lambda image: coded(image, 5), "strongly compressed"),
        (lambda image: coded(image, 92), "re-encoded"),
    ],
    ids=["inverted", "swapped", "noise", "blurred", "watermark", "q5", "q92"],
)
def test_each_edit_is_named(photo: Pixels, edit: Callable[[Pixels], Pixels], words: str) -> None:
    verifier = Verifier()
    copy, original = verifier.prepare(edit(photo)), verifier.prepare(photo)
    verdict = verifier.verify_prepared(copy, original)
    edits, greyed = likely_edits(verdict, copy, original)
    assert greyed == 0
    assert any(word in edits[0] for word in words.split("|")), (edits, verdict.evidence)
    assert len(edits) == 1, edits


def facts(width: int, height: int, format: str = "JPEG") -> Facts:
    return Facts(width, height, 1000, format)


def test_size_and_format_are_named_in_the_decided_direction() -> None:
    verdict = PairVerdict(
        0.9,
        0.8,
        first_outline=WHOLE,
        second_outline=WHOLE,
        edits=("re-encoded",),
        edits_forward=("re-encoded",),
        edits_backward=("cropped to 30 %",),
    )
    large, small = facts(800, 600), facts(400, 300, "WEBP")

    def edits(copy_is_first: bool, first: Facts, second: Facts) -> tuple[str, ...]:
        return directed_edits(verdict, copy_is_first=copy_is_first, first=first, second=second)

    assert edits(True, small, large) == ("made smaller (to 50 %)", "saved as WEBP")
    assert edits(True, large, small) == ("enlarged (to 200 %)", "saved as JPEG")
    assert edits(True, large, facts(810, 600)) == ("re-encoded",)
    assert edits(False, large, small)[0] == "cropped to 30 %", "of the side that was cropped"
    assert directed_edits(SAME_FILE, copy_is_first=True, first=large, second=large) == (
        "exact copy",
    )
    assert directed_edits(
        SAME_PIXELS, copy_is_first=True, first=facts(8, 8, "PNG"), second=facts(8, 8)
    ) == ("saved as PNG",)


def test_another_size_is_named_where_the_direction_is_unclear() -> None:
    def edits(*named: str, side: int = 300) -> tuple[str, ...]:
        verdict = PairVerdict(0.9, 0.9, edits=named, first_outline=WHOLE, second_outline=WHOLE)
        first, second = facts(300, 200), facts(side, 2 * side // 3)
        mirrored = undirected_edits(verdict, first=second, second=first)
        assert undirected_edits(verdict, first=first, second=second) == mirrored
        return mirrored

    assert edits("re-encoded", side=192) == ("resized",)
    assert edits("made grey", side=192) == ("made grey", "resized")
    assert edits("re-encoded") == ("re-encoded",)
    assert edits(side=192) == (), "no match"
    large, small = facts(300, 200), facts(30, 20)
    assert undirected_edits(SAME_PIXELS, first=large, second=small) == SAME_PIXELS.edits


def test_a_crop_has_the_size_of_its_part() -> None:
    half = ((0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.0, 0.5))
    verdict = PairVerdict(
        0.9,
        0.1,
        first_outline=WHOLE,
        second_outline=half,
        edits=("cropped to 25 %",),
        edits_forward=("cropped to 25 %",),
    )
    crop, whole = facts(400, 300), facts(800, 600)
    assert directed_edits(verdict, copy_is_first=True, first=crop, second=whole) == (
        "cropped to 25 %",
    )


def test_edits_are_named(embedder: Embedder) -> None:
    image = textured(0)
    grey = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    framed = cv2.copyMakeBorder(image, 60, 60, 80, 80, cv2.BORDER_CONSTANT, value=(20, 20, 90))
    detector = CopyDetector(embedder)
    detector.add(image, names="original")
    for edited, words in (
        (image[:, ::-1], "mirrored"),
        (np.rot90(image), "turned by 90°"),
        (grey, "made grey"),
        (framed, "framed or padded"),
        (np.clip(image.astype(int) * 0.6, 0, 255).astype(np.uint8), "tones or colours changed"),
        (cv2.resize(image, (200, 150)), "made smaller"),
    ):
        (match,) = detector.query(np.ascontiguousarray(edited))
        assert any(edit.startswith(words) for edit in match.edits), (words, match)


@pytest.mark.parametrize(
    ("size", "left", "words"),
    [
        ((1080, 2340), 0.0, "shown in a screenshot"),
        ((1080, 2340), 0.3, "pasted into another picture or screenshot"),
        ((1600, 1200), 0.0, "pasted into another picture or screenshot"),
    ],
)
def test_a_picture_as_wide_as_a_phone_is_in_a_screenshot(
    size: tuple[int, int], left: float, words: str
) -> None:
    outline = ((left, 0.3), (1.0, 0.3), (1.0, 0.6), (left, 0.6))
    verdict = PairVerdict(
        0.99,
        0.1,
        outline,
        ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)),
        0.3,
        1.0,
        edits_forward=("pasted into another picture or screenshot",),
    )
    original = Facts(1080, 700, 1)
    edits = directed_edits(verdict, copy_is_first=True, first=Facts(*size, 1), second=original)
    assert edits[0] == words
