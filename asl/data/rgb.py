"""Convert an opened picture to upright 8-bit RGB, strip by strip.

Every conversion of Pillow makes a copy of the whole picture; in strips the memory stays at what
Pillow decodes (4 bytes a pixel at most, 8 where it is animated) and the result (3).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image

from asl.types import U8

Pixels = U8

_STRIP_PIXELS = 1 << 18  # of a strip: its copies stay in the processor's cache
# Transparency is composited onto a colour that visible pixels are far from.
_SAMPLED_SIDE = 2048  # pixels of the longer side of what is left of a larger picture for that
_BACKGROUND_SIDE = 256  # pixels of the longer side at which visible pixels are counted
_NEAR_BACKGROUND = 40  # grey levels, in every channel, within which a pixel has that colour
_MAX_NEAR_BACKGROUND = 0.25  # share of the visible pixels that may have the colour
_MAX_BLANK_FRAMES = 50  # of one colour at the start of an animation that are passed over
_MAX_BLANK_PIXELS = 50_000_000  # that are decoded of them
_BLANK_RANGE = 12  # levels: a smaller range of every channel is one colour with noise
# What Pillow raises for a frame that is missing or damaged.
_DAMAGED = (EOFError, OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError)
_WIDE = {"I", "I;16", "I;16B", "I;16L", "F"}  # more than 8 bits a pixel, gray


def to_rgb(image: Image.Image) -> Pixels:
    """Decode an opened picture to uint8 ``[H, W, 3]``, upright, transparency composited.

    An animation gives its first frame that is not of one colour.
    """
    size = image.size
    image.seek(0)
    first = _frame_to_rgb(image)
    most = min(_MAX_BLANK_FRAMES, max(1, _MAX_BLANK_PIXELS // (size[0] * size[1])))
    for number in range(1, most + 1):
        if not _is_blank(first):
            break
        try:
            image.seek(number)
            # Frames of another size have not been checked against the limit.
            if image.size != size:
                break
            later = _frame_to_rgb(image)
        except _DAMAGED:
            break  # no further frame, or a damaged one
        if not _is_blank(later):
            return later
    return first


def _is_blank(pixels: Pixels) -> bool:
    """Check that all pixels have nearly one colour."""
    # A few pixels decide for nearly every picture that is not blank.
    few = pixels[:: max(1, len(pixels) // 64), :: max(1, pixels.shape[1] // 64)]
    return all(int(np.ptp(part, axis=(0, 1)).max()) < _BLANK_RANGE for part in (few, pixels))


def _frame_to_rgb(image: Image.Image) -> Pixels:
    image.load()
    width, height = image.size
    background = _background(image)
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    turned = orientation in (5, 6, 7, 8)
    pixels: Pixels = np.empty((width, height, 3) if turned else (height, width, 3), np.uint8)
    stored = _as_stored(pixels, orientation)
    top_value = _top_value(image)
    for box in _strips(image):
        strip = image.crop(box)
        if image.mode in _WIDE:
            stored[box[1] : box[3]] = _eight_bits(strip, top_value)[..., None]
            continue
        if background is not None:
            strip = Image.alpha_composite(
                Image.new("RGBA", strip.size, (background, background, background, 255)),
                strip.convert("RGBA"),
            )
        stored[box[1] : box[3]] = np.asarray(strip if strip.mode == "RGB" else strip.convert("RGB"))
    return pixels


def _strips(image: Image.Image) -> Iterator[tuple[int, int, int, int]]:
    """Yield boxes (left, top, right, bottom) that together cover the picture."""
    width, height = image.size
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows):
        yield 0, top, width, min(top + rows, height)


def _as_stored(upright: Pixels, orientation: int) -> Pixels:
    """View an upright picture as the file stores it (EXIF orientation 1 to 8)."""
    if orientation in (5, 6, 7, 8):
        upright = upright.transpose(1, 0, 2)
    across = -1 if orientation in (2, 3, 7, 8) else 1
    down = -1 if orientation in (3, 4, 6, 7) else 1
    return upright[::down, ::across]


def _background(image: Image.Image) -> int | None:
    """Choose the grey level behind a transparent picture; None where it is opaque.

    White, unless over a quarter of what is visible is nearly white (a white logo would vanish);
    then white, black or gray, whichever is rarest among the visible pixels.
    """
    if image.mode in _WIDE or not ("A" in image.getbands() or "transparency" in image.info):
        return None
    if max(image.size) > 2 * _SAMPLED_SIDE:  # a conversion would copy all of it
        image = image.resize(_within(image, _SAMPLED_SIDE), Image.Resampling.NEAREST)
    reduced = image.convert("RGBA").resize(
        _within(image, _BACKGROUND_SIDE), Image.Resampling.BICUBIC, reducing_gap=2.0
    )
    pixels = np.asarray(reduced, dtype=np.int16)
    opacity = pixels[..., 3]
    visible = max(1, int(opacity.sum()))

    def share_near(level: int) -> float:
        near = (np.abs(pixels[..., :3] - level) < _NEAR_BACKGROUND).all(axis=2)
        return int(opacity[near].sum()) / visible

    if share_near(255) > _MAX_NEAR_BACKGROUND:
        return min((255, 0, 128), key=share_near)
    return 255


def _within(image: Image.Image, longest: int) -> tuple[int, int]:
    """Return the size that an image has when its longer side is reduced to ``longest``."""
    scale = min(1.0, longest / max(image.size))
    return max(1, round(image.width * scale)), max(1, round(image.height * scale))


def _top_value(image: Image.Image) -> float:
    """Return the value of gray with more than 8 bits that becomes 255."""
    if image.mode != "F":
        return 65535.0
    tops = [np.nanmax(np.asarray(image.crop(box)), initial=1.0) for box in _strips(image)]
    return float(max(tops))


def _eight_bits(strip: Image.Image, top: float) -> Pixels:
    """Scale gray of more than 8 bits to 8; Pillow's own conversion would clip at 255."""
    values = np.asarray(strip)
    if values.dtype.kind == "u":
        return np.asarray(_SIXTEEN_BITS[values])
    return _scaled(values, top)


def _scaled(values: npt.NDArray[Any], top: float) -> Pixels:
    scaled = np.nan_to_num(values.astype(np.float64)) * (255.0 / top)
    return np.clip(scaled + 0.5, 0, 255).astype(np.uint8)


_SIXTEEN_BITS = _scaled(np.arange(1 << 16), 65535.0)
