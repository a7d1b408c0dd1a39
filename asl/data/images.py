"""Decode untrusted image files to upright RGB, with one decoder for queries and references.

Decoders differ in leniency and in pixels, so the same one must embed both. Pillow is used for its
explicit limits: a list of allowed formats, the size known before any pixel is decoded, truncated
files refused.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import re
import stat
import warnings
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.JpegImagePlugin import JpegImageFile

from asl.data.camera_raw import picture_kind, shown_picture
from asl.data.image_error import ImageError as ImageError
from asl.data.image_error import is_curable as is_curable
from asl.data.image_error import needs_extra, too_large
from asl.data.image_repair import (
    JPEG_START,
    PNG_START,
    completed,
    missing_share,
    without_ancillary_chunks,
)
from asl.data.jpeg_xl import JpegXlFile
from asl.data.picture_bounds import examine
from asl.data.pixel_gate import IN_FLIGHT
from asl.data.rgb import Pixels as Pixels
from asl.data.rgb import to_rgb
from asl.data.signatures import (
    FORMATS,
    HEIC,
    JPEG_XL,
    OPTIONAL,
    decoder_of,
    is_optional,
    is_read,
)
from asl.edits.engine.scaling import scaled
from asl.storage import dead_link
from asl.types import AslError

ResizeMode = Literal["squash", "short", "pad"]
Resampling = Literal["cubic", "linear"]

# Decoding runs in worker processes, one per core; OpenCV's own thread pool would fight with them,
# and a process forked after the pool has started waits for threads that it does not have.
cv2.setNumThreads(1)

MAX_PIXELS = 100_000_000
MAX_BYTES = 256 * 2**20
_MOST_BYTES_PER_PIXEL = 7  # of the largest picture, while it is decoded
_COMPARED_SIDE = 1024  # pixels of the shorter side, at least


def decode_image(
    data: bytes | Path, *, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_BYTES, least: int = 0
) -> Pixels:
    """Decode to RGB, upright.

    EXIF rotation is applied, CMYK, palette, gray and 16-bit become 8-bit RGB, transparent pixels
    become white (black or gray where the visible pixels are white), an animation gives its first
    frame that is not of one colour. Size limits and the structure
    (:mod:`asl.data.picture_bounds`) are checked before a pixel is decoded; a JPEG of up to four
    times ``max_pixels`` comes out half as large instead of being refused, and so does a JPEG 2000
    whose decoder would take too much memory. A JPEG that lacks the end of its data is accepted
    where (nearly) all of the picture is there, a PNG whose profile, texts or other ancillary chunks
    are too large or damaged is decoded without them. A camera RAW is shown by its preview
    (:mod:`asl.data.camera_raw`).

    Args:
        data: the encoded bytes, or the file that has them.
        max_pixels: largest width x height that is decoded.
        max_bytes: largest encoded file that is read.
        least: a JPEG may come out a half, a quarter or an eighth as large, as long as its shorter
            side keeps this many pixels: several times faster for large photos, with slightly
            different pixels. 0: always the full size.

    Returns:
        uint8 ``[H, W, 3]``, contiguous.

    Raises:
        ImageError: empty, too large, no allowed format, truncated or corrupt.
    """
    encoded = shown_picture(_read(data, max_bytes), max_pixels)
    bounds = examine(encoded)
    if bounds.excess and bounds.pixels <= max_pixels:
        raise ImageError(bounds.excess)
    with IN_FLIGHT.hold(min(bounds.pixels or max_pixels, max_pixels)):
        if bounds.thin:
            return _nearly_whole(encoded, max_pixels, least)
        return _repaired(encoded, max_pixels, least)


def _repaired(encoded: bytes, max_pixels: int, least: int) -> Pixels:
    """Decode; a file that viewers show and a strict decoder refuses is decoded once more."""
    try:
        return _decoded(encoded, max_pixels, least)
    except ImageError as error:
        if error.too_large:
            raise
        if encoded.startswith(PNG_START):
            plain = without_ancillary_chunks(encoded)
            if plain is not None and len(plain) < len(encoded):
                return _decoded(plain, max_pixels, least)
        elif encoded.startswith(JPEG_START) and "image file is truncated" in error.reason:
            return _nearly_whole(encoded, max_pixels, least)
        raise


def _nearly_whole(encoded: bytes, max_pixels: int, least: int) -> Pixels:
    """Decode a JPEG that lacks its end or much data; (nearly) all of it has to be there."""
    completions = completed(encoded)
    picture = _decoded(completions[0], max_pixels, least)
    # Both are compared at a fraction of their size where the picture is large.
    one, other = (
        _decoded(data, max_pixels, min(least or _COMPARED_SIDE, _COMPARED_SIDE))
        for data in completions
    )
    missing = missing_share(one, other, scale=len(picture) / len(one))
    if missing:
        raise ImageError(f"truncated: {missing:.0%} of the picture is missing")
    return picture


def _decoded(encoded: bytes, max_pixels: int, least: int) -> Pixels:
    try:
        with warnings.catch_warnings():
            # Pillow warns about broken metadata of images whose pixels are fine.
            warnings.simplefilter("ignore")
            with open_image(encoded) as image:
                # Pillow takes the smallest of the decoder's sizes that is no smaller than this.
                image.draft(None, _draft_size(image, max_pixels, least))
                if isinstance(image, Jpeg2KImageFile):
                    image.reduce = _halvings(encoded, max_pixels)
                return to_rgb(image)
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(_unidentified(encoded)) from error
    except Image.DecompressionBombError as error:
        counted = re.search(r"\d+", str(error))
        raise too_large(int(counted[0]) if counted else 0, max_pixels) from error
    except MemoryError as error:
        raise ImageError("takes too much memory") from error
    except (
        OSError,
        ValueError,
        SyntaxError,
        EOFError,
        IndexError,
        KeyError,
        TypeError,
    ) as error:
        raise ImageError(
            f"corrupt or truncated: {str(error)[:120] or type(error).__name__}"
        ) from error
    except Exception as error:  # a decoder's own classes (zlib.error ...) on hostile bytes
        raise ImageError(
            f"cannot be decoded: {type(error).__name__}: {str(error)[:120]}"
        ) from error


def _unidentified(encoded: bytes) -> str:
    """Return why Pillow knows no image in some bytes."""
    allowed = ", ".join([*FORMATS, *(form.kind for form in OPTIONAL if is_read(form.kind))])
    kind = picture_kind(encoded)
    if kind is None:
        return f"no image of an allowed format ({allowed})"
    if is_read(kind):
        return f"corrupt: the header of this {kind} cannot be read"
    if is_optional(kind):
        return needs_extra(kind)
    return f"a {kind} picture, a format this cannot read (allowed: {allowed})"


def open_image(encoded: bytes) -> Image.Image:
    """Open an image: its header is read, its pixels are not.

    Raises:
        Image.DecompressionBombError: far too large, and not a JPEG.
        UnidentifiedImageError: not in a format that is read here.
    """
    if encoded[:3] == b"\xff\xd8\xff":
        # Without Pillow's own limit: large photographs are decoded at a reduced size.
        with contextlib.suppress(SyntaxError):
            return JpegImageFile(io.BytesIO(encoded))
    kind = picture_kind(encoded)
    if is_optional(kind or ""):
        return _open_optional(encoded, kind)
    return Image.open(io.BytesIO(encoded), formats=FORMATS)


def _open_optional(encoded: bytes, kind: str | None) -> Image.Image:
    decoder = decoder_of(kind)
    if kind == JPEG_XL and decoder:
        return JpegXlFile(io.BytesIO(encoded))
    if kind == HEIC and decoder:
        importlib.import_module(decoder).register_heif_opener()
        return Image.open(io.BytesIO(encoded), formats=("HEIF",))
    raise UnidentifiedImageError


def _draft_size(image: Image.Image, max_pixels: int, least: int) -> tuple[int, int]:
    """Return (width, height) at which a JPEG may be decoded; other formats have one size.

    Raises:
        ImageError: too many pixels, also at half the size. The decoder keeps a progressive JPEG
            whole in memory at any size.
    """
    width, height = image.size
    pixels = width * height
    jpeg = image.format == "JPEG"
    if pixels > max_pixels and (not jpeg or pixels > 4 * max_pixels or "progressive" in image.info):
        raise too_large(pixels, max_pixels)
    halves = 1 if pixels <= max_pixels else 2
    scale = min(1.0, least / min(width, height)) if least else 1.0
    return min(round(width * scale), width // halves), min(round(height * scale), height // halves)


def _halvings(jpeg2000: bytes, max_pixels: int) -> int:
    """Return how often the size is halved, so that a tile as large as the picture fits."""
    return int(examine(jpeg2000).memory > _MOST_BYTES_PER_PIXEL * max_pixels)


def read_file(path: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """Read a regular file of limited size.

    Named pipes and devices are refused: they could block their reader.

    Raises:
        ImageError: not a regular file, or too large.
        OSError: it cannot be read.
    """
    try:
        facts = path.stat()
    except OSError as error:
        if link := dead_link(path):
            raise OSError(error.errno, link, str(path)) from error
        raise
    if not stat.S_ISREG(facts.st_mode):
        raise ImageError("not a regular file")
    if facts.st_size > max_bytes:
        raise ImageError(f"file of {facts.st_size} bytes, the limit is {max_bytes}")
    return path.read_bytes()


def _read(data: bytes | Path, max_bytes: int) -> bytes:
    if isinstance(data, Path):
        try:
            data = read_file(data, max_bytes)
        except OSError as error:
            raise ImageError(f"cannot be read: {error.strerror or error}") from error
    if not data:
        raise ImageError("empty file")
    if len(data) > max_bytes:
        raise ImageError(f"{len(data)} bytes, the limit is {max_bytes}")
    return data


def encode_image(image: Pixels, quality: int) -> bytes:
    """Encode as JPEG.

    Args:
        image: uint8 ``[H, W, 3]`` RGB.
        quality: of the JPEG, 1..100; 0: PNG, lossless.

    Raises:
        ImageError: the image has more pixels than the format can hold.
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if quality else []
    done, data = cv2.imencode(".jpg" if quality else ".png", image[..., ::-1], options)
    if not done:
        raise ImageError(f"{image.shape[1]} x {image.shape[0]} pixels cannot be encoded")
    return bytes(data.tobytes())


def resize_image(
    image: Pixels,
    size: int | tuple[int, int],
    *,
    mode: ResizeMode = "squash",
    resampling: Resampling = "cubic",
) -> Pixels:
    """Resize an image.

    Args:
        image: uint8 ``[H, W, 3]``.
        size: side of a square, or (height, width).
        mode: ``squash`` changes the aspect to fit exactly; ``short`` keeps it and makes the shorter
            side ``size`` (an int); ``pad`` keeps it, fits the image inside and fills the rest with
            gray (128).
        resampling: ``cubic`` averages areas when the image shrinks and is cubic when it grows;
            ``linear`` is the edit engine's (:func:`asl.edits.engine.scaling.scaled`).

    Returns:
        uint8; exactly ``size`` except with ``short``.
    """
    resize = scaled if resampling == "linear" else _cubic
    height, width = image.shape[:2]
    if mode == "short":
        if not isinstance(size, int):
            raise AslError(f"size: mode 'short' takes one number, got {size}")
        scale = size / min(height, width)
        return resize(image, max(1, round(height * scale)), max(1, round(width * scale)))
    target_height, target_width = (size, size) if isinstance(size, int) else size
    if mode == "squash":
        return resize(image, target_height, target_width)
    scale = min(target_height / height, target_width / width)
    small = resize(image, max(1, round(height * scale)), max(1, round(width * scale)))
    top = (target_height - small.shape[0]) // 2
    left = (target_width - small.shape[1]) // 2
    canvas: Pixels = np.full((target_height, target_width, 3), 128, np.uint8)
    canvas[top : top + small.shape[0], left : left + small.shape[1]] = small
    return canvas


def _cubic(image: Pixels, height: int, width: int) -> Pixels:
    if image.shape[:2] == (height, width):
        return image
    shrinks = height * width < image.shape[0] * image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    resized: Pixels = cv2.resize(image, (width, height), interpolation=method)
    return resized
