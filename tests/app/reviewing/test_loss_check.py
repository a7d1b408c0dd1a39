"""Files compared at full size before a rule removes one; the outcomes are kept."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from asl.app.pairs.pair_verdict import Outline
from asl.app.reviewing import loss_check
from asl.app.reviewing.loss_check import (
    COMPARED_FILE,
    UNCLEAR,
    UNREAD,
    FilePair,
    LossCheck,
    loss_of,
)
from asl.app.reviewing.lost_content import NOT_ALIGNED, OWN_DETAIL, SHOWS_MORE
from asl.data.images import decode_image, encode_image
from asl.data.scenes import render_scene
from asl.types import U8

WHOLE: Outline = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
MIRRORED: Outline = ((1.0, 0.0), (0.0, 0.0), (0.0, 1.0), (1.0, 1.0))


def pair_of(
    staying: Path, going: Path, *, outline: Outline = WHOLE, clear: bool = True
) -> FilePair:
    return FilePair(staying, going, (digest(staying), digest(going)), WHOLE, outline, clear)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes() if path.exists() else b"").hexdigest()


def write(path: Path, image: U8, quality: int) -> Path:
    path.write_bytes(encode_image(np.ascontiguousarray(image), quality))
    return path


@pytest.fixture
def original(tmp_path: Path) -> Path:
    return write(tmp_path / "original.jpg", render_scene(3, height=240, width=320), 93)


def test_a_file_that_was_saved_again_follows_by_its_own_compression(original: Path) -> None:
    pixels = decode_image(original)
    again = write(original.with_name("again.jpg"), pixels, 75)
    mirrored = write(original.with_name("mirrored.jpg"), pixels[:, ::-1], 80)
    assert loss_of(pair_of(original, again)) == ""
    assert loss_of(pair_of(original, mirrored, outline=MIRRORED)) == ""


def test_shots_from_a_tripod_that_differ_in_grain_alone_do_not(tmp_path: Path) -> None:
    scene = render_scene(5, height=240, width=320).astype(np.float32)
    shots = []
    for number in range(2):
        grain = np.random.default_rng(number).normal(0, 2.5, scene.shape)
        shot = np.clip(scene + grain, 0, 255).astype(np.uint8)
        shots.append(write(tmp_path / f"{number}.jpg", shot, 90))
    for pair in (pair_of(*shots), pair_of(*shots[::-1])):
        assert loss_of(pair) == OWN_DETAIL


def test_an_unclear_direction_is_settled_by_what_follows_from_what(original: Path) -> None:
    pixels = decode_image(original)
    worse = write(original.with_name("worse.jpg"), pixels, 70)
    same = write(original.with_name("same.png"), pixels, 0)
    check = LossCheck()
    assert check(pair_of(original, worse, clear=False)) == ""
    assert check(pair_of(worse, original, clear=False)) == OWN_DETAIL
    assert check(pair_of(original, same, clear=False)) == UNCLEAR, "equal pixels tell nothing"
    assert check(pair_of(original, same)) == ""


def test_a_direction_is_settled_by_no_comparison_that_failed(tmp_path: Path) -> None:
    """Of a pair that aligns one way only, nothing says that the file that stays has more."""
    scene = render_scene(3, height=240, width=320)
    small = cv2.resize(scene, (32, 24), interpolation=cv2.INTER_AREA)
    large = cv2.resize(small, (320, 240), interpolation=cv2.INTER_CUBIC)
    staying = write(tmp_path / "small.png", small, 0)
    going = write(tmp_path / "large.png", large, 0)
    assert loss_of(pair_of(staying, going)) == ""
    assert loss_of(pair_of(going, staying)) == NOT_ALIGNED, "768 pixels"
    assert LossCheck()(pair_of(staying, going, clear=False)) == UNCLEAR


def test_a_small_crop_shows_less_than_the_picture_that_stays(tmp_path: Path) -> None:
    """In the pixels of the large picture, reduced, the crop has fewer than are compared."""
    scene = render_scene(4, height=900, width=1200)
    staying = write(tmp_path / "whole.png", cv2.resize(scene, (2400, 1800)), 0)
    pixels = decode_image(staying)[600:640, 1200:1240]
    going = write(tmp_path / "crop.png", pixels, 0)
    on_staying = tuple((x / 2400, y / 1800) for x, y in _corners(1200, 600, 40))
    pair = FilePair(staying, going, (digest(staying), digest(going)), on_staying, WHOLE, False)
    assert loss_of(pair) == ""
    assert loss_of(pair.turned()) == SHOWS_MORE
    assert LossCheck()(pair) == "", "the whole picture is the original"


def _corners(left: int, top: int, side: int) -> Outline:
    right, bottom = left + side, top + side
    return ((left, top), (right, top), (right, bottom), (left, bottom))


def test_outcomes_are_kept_and_damaged_ones_compared_again(
    original: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = original.parent
    again = write(folder / "again.jpg", decode_image(original), 70)
    pair = pair_of(original, again, clear=False)
    steps: list[tuple[int, int]] = []
    LossCheck(folder).compare([pair], lambda done, total: steps.append((done, total)))
    assert steps == [(1, 1), (1, 1)], "forward, and turned because the direction is unclear"

    def fail(pair: FilePair) -> str:
        raise AssertionError("compared already")

    with monkeypatch.context() as patched:
        patched.setattr(loss_check, "loss_of", fail)
        kept = LossCheck(folder)
        kept.compare([pair])
        assert kept(pair) == ""
    (folder / COMPARED_FILE).write_text("{")
    assert LossCheck(folder)(pair) == ""


def test_a_file_that_cannot_be_read_is_no_copy(original: Path) -> None:
    missing, text = original.with_name("missing.jpg"), original.with_name("text.jpg")
    text.write_text("no picture")
    assert loss_of(pair_of(original, missing)) == UNREAD
    assert loss_of(pair_of(original, text)) == NOT_ALIGNED


def test_only_the_contents_that_were_scanned_have_an_outcome(original: Path) -> None:
    """A file that is away, or edited for a while, is compared when it is there again."""
    folder, pixels = original.parent, decode_image(original)
    again = write(folder / "again.jpg", pixels, 75)
    pair, data = pair_of(original, again), again.read_bytes()
    again.unlink()
    check = LossCheck(folder)
    check.compare([pair])
    assert check(pair) == UNREAD
    write(again, pixels, 60)  # a copy, too, but of other content
    check.compare([pair])
    assert check(pair) == UNREAD
    again.write_bytes(data)
    assert LossCheck(folder)(pair) == "", "not kept"
    check.compare([pair])
    assert check(pair) == ""


def test_a_file_that_goes_away_does_not_settle_a_direction(original: Path) -> None:
    again = write(original.with_name("again.jpg"), decode_image(original), 75)
    pair, unclear = pair_of(original, again), pair_of(original, again, clear=False)
    check = LossCheck()
    assert check(pair) == ""
    again.unlink()
    assert check(unclear) == UNREAD
