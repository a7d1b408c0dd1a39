"""Repairs for files that viewers show and strict decoders refuse."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from asl.types import U8

PNG_START = b"\x89PNG\r\n\x1a\n"
JPEG_START = b"\xff\xd8\xff"
JPEG_END = b"\xff\xd9"
_MOST_CHUNKS = 200_000
_MOST_EXIF_BYTES = 1 << 16
_COMPARED_ROWS = 64  # at a time, which bounds the memory
_MISSING_SHARE = 0.05  # of a picture that may be missing at its end
_MISSING_PIXELS = 32  # height of the strip that may be missing of small pictures
_MISSING_SHARE_OF_SMALL = 0.25
# Entropy-coded data that decodes to anything but what is missing; no byte of it starts a marker.
_NOISE = np.random.default_rng(0).integers(1, 255, 4096, dtype=np.uint8).tobytes()


def without_ancillary_chunks(data: bytes) -> bytes | None:
    """Return a PNG with only the chunks that its pixels need, or None where it is damaged.

    Colour profiles, texts and the like are left out; palette transparency and a small EXIF block
    (orientation) stay. Checksums of critical chunks are verified.
    """
    kept = [PNG_START]
    place = len(PNG_START)
    for _ in range(_MOST_CHUNKS):
        if place + 8 > len(data):
            return None
        (length,) = struct.unpack_from(">I", data, place)
        kind = data[place + 4 : place + 8]
        end = place + 12 + length
        if end > len(data):
            return None
        small_exif = kind == b"eXIf" and length <= _MOST_EXIF_BYTES
        if kind[:1].isupper() or kind == b"tRNS" or small_exif:
            (expected,) = struct.unpack_from(">I", data, end - 4)
            sound = zlib.crc32(data[place + 4 : end - 4]) == expected
            if sound:
                kept.append(data[place:end])
            elif kind[:1].isupper():
                return None
        if kind == b"IEND":
            return b"".join(kept)
        place = end
    return None


def completed(jpeg: bytes) -> tuple[bytes, bytes]:
    """Return two completions of a JPEG that lacks its end, or data before its end.

    They decode to the same pixels where the data is there, and to different ones where it is not.
    """
    body = jpeg.rstrip(b"\xff").removesuffix(JPEG_END)
    return body + JPEG_END, body + _NOISE + JPEG_END


def missing_share(one: U8, other: U8, *, scale: float = 1.0) -> float:
    """Return the share of a picture that is missing, from its two completions ``[H, W, 3]``.

    ``scale`` is the size of the picture divided by that of the completions.

    0 where the strip that is missing is so thin that the picture is as good as whole.
    """
    by_row = np.zeros(one.shape[0], np.bool_)
    by_column = np.zeros(one.shape[1], np.bool_)
    for top in range(0, len(one), _COMPARED_ROWS):
        part = slice(top, top + _COMPARED_ROWS)
        differs = (one[part] != other[part]).any(axis=2)
        by_row[part] = differs.any(axis=1)
        by_column |= differs.any(axis=0)
    rows, columns = np.flatnonzero(by_row), np.flatnonzero(by_column)
    if not len(rows):
        return 0.0
    height = int(rows[-1] - rows[0]) + 1
    width = int(columns[-1] - columns[0]) + 1
    share = height * width / (by_row.size * by_column.size)
    thin = min(height, width) * scale <= _MISSING_PIXELS and share <= _MISSING_SHARE_OF_SMALL
    return 0.0 if thin or share <= _MISSING_SHARE else share
