"""Files that were saved again keep to their own quantisation steps; shots do not."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from asl.app.reviewing import compression_bounds as module
from asl.app.reviewing.compression_bounds import share_within_steps
from asl.data.images import decode_image, encode_image
from asl.data.scenes import render_scene
from asl.types import F32, U8


def scene(seed: int = 3) -> U8:
    return decode_image(encode_image(render_scene(seed, height=240, width=320), 93))


def shot(image: U8, seed: int) -> U8:
    noise = np.random.default_rng(seed).normal(0, 2.5, image.shape)
    return np.asarray(np.clip(image + noise, 0, 255), np.uint8)


@pytest.mark.parametrize("quality", [70, 80, 90, 95])
def test_a_file_that_was_saved_again_keeps_to_its_steps(quality: int) -> None:
    original = scene()
    data = encode_image(original, quality)
    share = share_within_steps(data, decode_image(data), original)
    assert share is not None
    assert share > 0.96
    brighter = np.clip(original * 0.8 + 20, 0, 255).astype(np.uint8)
    data = encode_image(brighter, quality)
    share = share_within_steps(data, decode_image(data), original)
    assert share is not None
    assert share > 0.96


@pytest.mark.parametrize("quality", [75, 85, 92])
def test_two_shots_that_differ_in_grain_alone_do_not(quality: int) -> None:
    first, second = (encode_image(shot(scene(), seed), quality) for seed in (1, 2))
    share = share_within_steps(second, decode_image(second), decode_image(first))
    assert share is not None
    assert share < 0.92


def test_the_better_file_was_not_made_from_the_worse_one() -> None:
    original = scene()
    data, worse = encode_image(original, 95), encode_image(original, 60)
    share = share_within_steps(data, decode_image(data), decode_image(worse))
    assert share is not None
    assert share < 0.9


@pytest.mark.parametrize("most", [1200, 700, 599, 61])
def test_no_more_blocks_are_compared_than_the_limit(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = scene()  # of 1,200 blocks, all of them neither black nor white here
    data = encode_image(original // 2 + 60, 90)
    compared: list[int] = []
    monkeypatch.setattr(module, "MOST_BLOCKS", most)
    monkeypatch.setattr(module, "LEAST_BLOCKS", most // 2)
    monkeypatch.setattr(np, "abs", counted(compared, np.abs))
    share = share_within_steps(data, decode_image(data), original)
    assert share is not None
    assert share > 0.96
    (count,) = compared
    assert most / 2 < count <= most


def counted(sizes: list[int], function: Callable[[F32], F32]) -> Callable[[F32], F32]:
    """Note the number of rows that a function gets."""

    def call(values: F32) -> F32:
        sizes.append(len(values))
        return function(values)

    return call


def test_what_cannot_be_told_is_said() -> None:
    original = scene()
    lossless, coarse = encode_image(original, 0), encode_image(original, 20)
    assert share_within_steps(lossless, original, original) is None, "no JPEG"
    assert share_within_steps(coarse, decode_image(coarse), original) is None, "wide steps"
    data = encode_image(original, 90)
    assert share_within_steps(data, original, original[:-8]) is None, "another size"
    assert share_within_steps(b"no picture", original, original) is None
    plain = np.full_like(original, 90)
    assert share_within_steps(encode_image(plain, 90), plain, plain) is None, "nothing in it"
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(original).save(buffer, "JPEG", quality=90, exif=exif)
    assert share_within_steps(buffer.getvalue(), original, original) is None, "turned"
