"""Camera RAW files, shown by the JPEG preview that the camera put into them."""

from __future__ import annotations

import io
import struct
import warnings
from typing import TYPE_CHECKING

import numpy as np
from PIL import ExifTags, Image
from PIL.JpegImagePlugin import JpegImageFile

from asl.data.image_error import ImageError, too_large
from asl.data.signatures import CAMERA_RAW, HEAD_BYTES, decoder_of, picture_format
from asl.data.tiff_bounds import Excess, is_camera_raw, tiff_bounds

if TYPE_CHECKING:
    import rawpy

LEAST_SIDE = 480  # pixels of the shorter side of a preview that stands for its picture
_QUALITY = 95  # of the JPEG of a picture without such a preview
_ORIENTATIONS = {0: 1, 3: 3, 5: 8, 6: 6}  # LibRaw's turn -> EXIF orientation
_TURNED = (5, 6, 7, 8)  # EXIF orientations that swap width and height
_COPIED = (ExifTags.Base.Make, ExifTags.Base.Model, ExifTags.Base.Software)
_PATCHED_BYTES = 16  # at the start of a preview, which LibRaw mends for some cameras
_EXIF_SEGMENT = b"\xff\xe1"
_LIBRAW = b"dcraw v"  # the software in that block
_MOST_EXIF_BYTES = 65_000  # of a segment


def picture_kind(data: bytes) -> str | None:
    """Return the format of an encoded picture, or None; a RAW that begins as a TIFF is a RAW."""
    kind = picture_format(data[:HEAD_BYTES])
    return CAMERA_RAW if kind == "TIFF" and is_camera_raw(data) else kind


def shown_picture(data: bytes, max_pixels: int) -> bytes:
    """Return the preview of a camera RAW as an upright JPEG; other pictures as they are.

    A RAW without a preview of useful size is developed at half its size. Without the package that
    reads RAW files, they are returned as they are, too.

    Raises:
        ImageError: the RAW cannot be read, or is to be developed and has too many pixels.
    """
    if picture_kind(data) != CAMERA_RAW or decoder_of(CAMERA_RAW) is None:
        return data
    import rawpy

    try:
        tiff_bounds(data)  # before LibRaw reads it
    except Excess as excess:
        raise ImageError(str(excess)) from excess
    try:
        with rawpy.imread(io.BytesIO(data)) as raw:
            return _preview(raw, data) or _developed(raw, data, max_pixels)
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError("takes too much memory") from error
    except Exception as error:  # LibRaw's own classes
        reason = str(error).strip("b'\"")[:120] or type(error).__name__
        raise ImageError(f"corrupt, or a camera RAW that LibRaw cannot read: {reason}") from error


def _preview(raw: rawpy.RawPy, data: bytes) -> bytes | None:
    """Return the JPEG preview, upright; None where there is none of useful size."""
    import rawpy

    try:
        preview = raw.extract_thumb()
    except (rawpy.LibRawNoThumbnailError, rawpy.LibRawUnsupportedThumbnailError):
        return None
    if preview.format != rawpy.ThumbFormat.JPEG:
        return None
    jpeg = _as_in_the_file(bytes(preview.data))
    if jpeg[_PATCHED_BYTES:] not in data:  # LibRaw fills up what a file lacks with any memory
        raise ImageError("truncated: the preview of this camera RAW is not all there")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with JpegImageFile(io.BytesIO(jpeg)) as image:
            width, height = image.size
            orientation = image.getexif().get(ExifTags.Base.Orientation)
    if min(width, height) < LEAST_SIDE <= min(raw.sizes.width, raw.sizes.height):
        return None
    if orientation is not None:
        return jpeg
    orientation = _ORIENTATIONS.get(raw.sizes.flip, 1)
    lies = (width > height) == (raw.sizes.width > raw.sizes.height)
    if orientation in _TURNED and not lies:  # the camera has turned the preview already
        orientation = 1
    return _with_exif(jpeg, orientation, data)


def _as_in_the_file(jpeg: bytes) -> bytes:
    """Remove the EXIF block that LibRaw puts in front of a preview that has none."""
    (length,) = struct.unpack_from(">H", jpeg, 4)
    block = jpeg[6 : 4 + length]
    made = jpeg[2:4] == _EXIF_SEGMENT and block.startswith(b"Exif") and _LIBRAW in block
    return jpeg[:2] + jpeg[4 + length :] if made else jpeg


def _developed(raw: rawpy.RawPy, data: bytes, max_pixels: int) -> bytes:
    pixels = raw.sizes.raw_width * raw.sizes.raw_height
    if pixels > max_pixels:
        raise too_large(pixels, max_pixels)
    raw.unpack()
    if not np.ptp(raw.raw_image_visible[-1:]):  # every sensor has noise
        raise ImageError("truncated: the end of this camera RAW is missing")
    developed = Image.fromarray(raw.postprocess(half_size=True, use_camera_wb=True))
    buffer = io.BytesIO()
    developed.save(buffer, "JPEG", quality=_QUALITY)
    return _with_exif(buffer.getvalue(), 1, data)


def _with_exif(jpeg: bytes, orientation: int, raw: bytes) -> bytes:
    """Put an EXIF block into a JPEG that has none: the orientation, camera and date of its RAW."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    if picture_format(raw[:4]) == "TIFF":
        _copy_camera(raw, exif)
    block = exif.tobytes()
    if len(block) > _MOST_EXIF_BYTES:
        raise ImageError("corrupt: the metadata of this camera RAW are too large")
    return jpeg[:2] + _EXIF_SEGMENT + struct.pack(">H", len(block) + 2) + block + jpeg[2:]


def _copy_camera(raw: bytes, exif: Image.Exif) -> None:
    source = Image.Exif()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            source.load(raw)
            exif.update({tag: source[tag] for tag in _COPIED if isinstance(source.get(tag), str)})
            taken = source.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.DateTimeOriginal)
    except Exception:  # hostile metadata of a picture that has a preview
        return
    if isinstance(taken, str):
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = taken
