"""Bounds from the directories of TIFF files and EXIF blocks, before a decoder reads them."""

from __future__ import annotations

import math
import struct
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MOST_ENTRIES = 1000  # of one directory
MOST_STRIPS = 1_000_000  # strips or tiles
_SLACK_BYTES = 1 << 16  # by which the values of a directory may exceed their file
_NEARLY_ALL = 0.95  # share of the declared data that has to be there
# Bytes of a value by its type.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SIZES |= {16: 8, 17: 8, 18: 8}
_NUMBERS = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
# Pixel bytes that one byte can hold at most: stored, LZW, deflate (two numbers), PackBits. The
# ratio of the other compressions has no useful bound.
_RATIOS = {1: 1, 5: 2731, 8: 1032, 32946: 1032, 32773: 64}
_FURTHER = (0x014A, 0x8769, 0x8825, 0xA005)  # tags whose values are places of directories
# Of a camera RAW: photometric interpretations and compressions that nothing else has, and the mark
# of a picture of reduced size, which in other files is not the first one.
_SENSOR = {32803, 34892}  # colour filter array, linear RAW
_RAW_COMPRESSIONS = {32767, 32769, 32770, 32772, 34713, 65000, 65535}
_REDUCED = 1
_MOST_DIRECTORIES = 20  # that are looked at for it
# Tags.
_SUBFILE = 254
_WIDTH = 256
_HEIGHT = 257
_BITS = 258
_COMPRESSION = 259
_PHOTOMETRIC = 262
_STRIPS = 273
_SAMPLES = 277
_ROWS = 278
_STRIP_BYTES = 279
_PLANAR = 284
_TILE_WIDTH = 322
_TILE_HEIGHT = 323
_TILES = 324
_TILE_BYTES = 325
_SUB_DIRECTORIES = 0x014A
_DNG_VERSION = 0xC612
Numbers = npt.NDArray[np.int64]


class Excess(Exception):  # noqa: N818
    """A file declares more than an honest one would; the text is the reason."""


@dataclass(frozen=True)
class _Directory:
    """Entries of one directory: tag -> (type, count, place of the values)."""

    data: bytes
    order: str
    entries: dict[int, tuple[int, int, int]]

    def numbers(self, tag: int) -> Numbers:
        """Return the values of a tag, int64; empty where it is missing or no number."""
        kind, count, place = self.entries.get(tag, (0, 0, 0))
        if kind not in _NUMBERS:
            return np.empty(0, np.int64)
        values = self.data[place : place + _SIZES[kind] * count]
        whole = len(values) // _SIZES[kind] * _SIZES[kind]
        dtype = np.dtype(self.order + _NUMBERS[kind])
        return np.frombuffer(values[:whole], dtype).astype(np.int64)

    def number(self, tag: int, default: int = 0) -> int:
        """Return the first value of a tag."""
        values = self.numbers(tag)
        return int(values[0]) if len(values) else default


@dataclass(frozen=True)
class TiffBounds:
    """Bounds of a TIFF.

    Attributes:
        pixels: width x height.
        strips: strips or tiles.
        bounded: True where the cost of the compression follows from the number of pixels.
        complete: False where there is less data than the size of the picture needs.
    """

    pixels: int
    strips: int
    bounded: bool
    complete: bool


def check_exif(block: bytes) -> None:
    """Check the directories of an EXIF block: the first one and those that it names.

    Args:
        block: from its byte order mark on.

    Raises:
        Excess: too many entries, or values that together are far larger than the block.
    """
    try:
        _check_further(_directory(block, *_start(block)))
    except (struct.error, ValueError):
        return  # damaged metadata count as none


def _check_further(first: _Directory) -> None:
    for tag in _FURTHER:
        for place in first.numbers(tag)[:MOST_ENTRIES].tolist():
            with suppress(struct.error):
                _directory(first.data, first.order, place)


def is_camera_raw(data: bytes) -> bool:
    """Check that a TIFF is the RAW file of a camera, by the tags of its directories."""
    try:
        first = _directory(data, *_start(data))
    except (struct.error, ValueError, Excess):
        return False
    inner = first.numbers(_SUB_DIRECTORIES)[:_MOST_DIRECTORIES].tolist()
    if _DNG_VERSION in first.entries or (inner and first.number(_SUBFILE) & _REDUCED):
        return True
    directories = [first]
    for place in inner:
        with suppress(struct.error, Excess):
            directories.append(_directory(data, first.order, place))
    return any(
        directory.number(_PHOTOMETRIC) in _SENSOR
        or directory.number(_COMPRESSION) in _RAW_COMPRESSIONS
        for directory in directories
    )


def tiff_bounds(data: bytes) -> TiffBounds | None:
    """Return the bounds of a TIFF, or None where its first directory cannot be read.

    Raises:
        Excess: too many entries, strips or tiles.
    """
    try:
        directory = _directory(data, *_start(data))
    except (struct.error, ValueError):
        return None
    _check_further(directory)
    width, height = directory.number(_WIDTH), directory.number(_HEIGHT)
    tiled = _TILES in directory.entries
    sizes = directory.numbers(_TILE_BYTES if tiled else _STRIP_BYTES)
    strips = directory.entries.get(_TILES if tiled else _STRIPS, (0, 0, 0))[1]
    if strips > MOST_STRIPS:
        raise Excess(f"{strips} strips, the limit is {MOST_STRIPS}")
    compression = directory.number(_COMPRESSION, 1)
    complete = strips >= math.floor(
        _NEARLY_ALL * _strips_needed(directory, width, height, tiled)
    ) and _enough_bytes(directory, sizes, width * height, _RATIOS.get(compression))
    return TiffBounds(width * height, strips, compression in _RATIOS, complete)


def _enough_bytes(directory: _Directory, sizes: Numbers, pixels: int, ratio: int | None) -> bool:
    """Check that strips of these sizes in bytes can hold the pixels; True where nobody knows."""
    if ratio is None or not len(sizes):
        return True
    depths = directory.numbers(_BITS).tolist() or [1]
    bits = sum(depths) if len(depths) > 1 else depths[0] * directory.number(_SAMPLES, 1)
    there = min(int(sizes.clip(0, len(directory.data)).sum()), len(directory.data))
    return bool(there * ratio >= _NEARLY_ALL * (pixels * bits // 8))


def _strips_needed(directory: _Directory, width: int, height: int, tiled: bool) -> int:
    if tiled:
        across = max(1, directory.number(_TILE_WIDTH, width))
        down = max(1, directory.number(_TILE_HEIGHT, height))
        count = math.ceil(width / across) * math.ceil(height / down)
    else:
        count = math.ceil(height / max(1, directory.number(_ROWS, height)))
    planes = directory.number(_SAMPLES, 1) if directory.number(_PLANAR, 1) == 2 else 1
    return count * planes


def _start(data: bytes) -> tuple[str, int]:
    """Return byte order and place of the first directory; a negative place marks BigTIFF."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        raise ValueError("no byte order mark")
    (version,) = struct.unpack_from(order + "H", data, 2)
    if version == 43:
        (place,) = struct.unpack_from(order + "Q", data, 8)
        return order, -place
    (place,) = struct.unpack_from(order + "I", data, 4)
    return order, place


def _directory(data: bytes, order: str, place: int) -> _Directory:
    """Read a directory.

    Raises:
        Excess: too many entries, or values that together are far larger than the file.
        struct.error: it is not all there.
    """
    big, place = place < 0, abs(place)
    count_format, entry_format = ("Q", "HHQ") if big else ("H", "HHI")
    (count,) = struct.unpack_from(order + count_format, data, place)
    inline = 8 if big else 4
    head = struct.calcsize(order + entry_format)
    place += struct.calcsize(order + count_format)
    count = min(count, max(0, len(data) - place) // (head + inline))
    if count > MOST_ENTRIES:
        raise Excess(f"{count} entries of metadata, the limit is {MOST_ENTRIES}")
    entries, total = {}, 0
    for _ in range(count):
        tag, kind, values = struct.unpack_from(order + entry_format, data, place)
        size = _SIZES.get(kind, 1) * values
        where = place + head
        if size > inline:
            (where,) = struct.unpack_from(order + ("Q" if big else "I"), data, where)
            total += size
        entries[tag] = (kind, values, where)
        place += head + inline
    if total > len(data) + _SLACK_BYTES:
        raise Excess(f"metadata of {total} bytes in {len(data)}")
    return _Directory(data, order, entries)
