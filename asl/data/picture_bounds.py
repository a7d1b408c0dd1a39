"""Bounds from the structure of a picture file for everything that multiplies work.

A small file can ask for hours of work: thousands of scans of a progressive JPEG, millions of empty
chunks or segments, a size for which it has no data. The structure is examined before a decoder
starts, without decoding anything.
"""

from __future__ import annotations

import math
import re
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from asl.data.camera_raw import picture_kind
from asl.data.jpeg_xl import jpeg_xl_size
from asl.data.signatures import CAMERA_RAW, HEIC, JPEG_XL
from asl.data.tiff_bounds import Excess, check_exif, tiff_bounds

MOST_SCANS = 64  # of a JPEG; encoders write about ten
MOST_SEGMENTS = 5000  # of a JPEG; 64 KB each
MOST_BLOCKS = 1 << 16  # of a GIF before its first frame
TOO_SHORT = "truncated: less data than the size of the picture needs"
_MOST_JUNK = 1 << 16  # bytes of a JPEG that belong to no segment
_INFLATED = 1032  # bytes that one byte of deflate data gives at most
_NEARLY_ALL = 0.95  # share of the declared data that has to be there
_CHEAP_SECONDS = 1.0
_CHEAP_PIXELS = 32_000_000
# Seconds, rounded up from measurements on one slow core.
_PER_PIXEL = 30e-9
_PER_PIXEL_AND_SCAN = 1e-9
_PER_BYTE = 30e-9
_PER_ITEM = 10e-6  # chunk, segment, block or strip
_JPEG_SIZES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_JPEG_BARE = {0x01, *range(0xD0, 0xD9)}  # markers without a segment
_JPEG_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_JPEG_BLANK = 512  # pixels for one byte, at most: every block of 64 takes a bit
_JPEG_THIN = 40  # pixels for one byte; a blank picture has some 60
_PPM = re.compile(rb"P[56]\s{1,9}(\d{1,9})\s{1,9}(\d{1,9})\s{1,9}\d{1,5}\s")
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_WEBP_ANIMATED = 0x02
_BMP_STORED = {0, 3, 6}  # compressions without a decoder
_THREAD = threading.local()


@dataclass(frozen=True)
class Bounds:
    """Bounds of the work that decoding takes.

    Attributes:
        pixels: width x height as declared; 0 where it is not known without a decoder.
        seconds: processor time, estimated from above; infinite where the structure gives none.
        excess: why the file is refused; empty where it is not.
        thin: True for a JPEG with so little data that most of the picture may be missing.
        memory: bytes that the decoder takes at least; 0 where it needs little beside the pixels.
        halves: True where the decoder can give half the size, for a quarter of that memory.
    """

    pixels: int = 0
    seconds: float = math.inf
    excess: str = ""
    thin: bool = False
    memory: int = 0
    halves: bool = False

    @property
    def cheap(self) -> bool:
        """True where the structure proves that decoding is quick and small."""
        return self.seconds <= _CHEAP_SECONDS and self.pixels <= _CHEAP_PIXELS


def examine(data: bytes) -> Bounds:
    """Examine the structure of an encoded picture."""
    last = getattr(_THREAD, "last", None)
    if last is not None and last[0] is data:
        return last[1]  # type: ignore[no-any-return]
    check = _FORMATS.get(picture_kind(data) or "", _unbounded)
    try:
        return check(data)
    except Excess as excess:
        return Bounds(excess=str(excess))
    except (struct.error, IndexError, SyntaxError):
        return Bounds(seconds=0.0)  # ends inside its header: the decoder says so at once


@contextmanager
def examined(data: bytes) -> Iterator[Bounds]:
    """Examine a picture; inside the block this thread does not do it again."""
    bounds = examine(data)
    _THREAD.last = (data, bounds)
    try:
        yield bounds
    finally:
        _THREAD.last = None


def _unbounded(_: bytes) -> Bounds:
    return Bounds()


def _jpeg(data: bytes) -> Bounds:
    pixels = components = junk = memory = 0
    progressive, huffman = False, True
    place = 2
    for count in range(MOST_SEGMENTS):
        mark = data.find(b"\xff", place)
        if mark < 0:
            return Bounds(pixels, 0.0)
        junk += mark - place
        kind = data[mark + 1]
        if kind in (0x00, 0xFF):
            junk, place = junk + 1, mark + 1 + (kind == 0x00)
        elif kind in _JPEG_BARE:
            place = mark + 2
        else:
            (length,) = struct.unpack_from(">H", data, mark + 2)
            place = mark + 2 + length
            if kind in _JPEG_SIZES:
                height, width, components = struct.unpack_from(">HHB", data, mark + 5)
                pixels = width * height
                progressive, huffman = kind & 3 == 2, kind < 0xC9
                if progressive:
                    memory = _jpeg_memory(pixels, data[mark + 10 : mark + 10 + 3 * components])
            elif kind == 0xE1 and data[mark + 4 : mark + 8] == b"Exif":
                check_exif(data[mark + 10 : place])
            elif kind == 0xDA:
                single = not progressive and data[mark + 4] >= components
                scans = 1 if single else _jpeg_scans(data, mark)
                per_pixel = _PER_PIXEL + scans * _PER_PIXEL_AND_SCAN
                seconds = pixels * per_pixel + len(data) * _PER_BYTE + count * _PER_ITEM
                if huffman and (len(data) - mark) * _JPEG_BLANK < _NEARLY_ALL * pixels:
                    return Bounds(pixels, excess=TOO_SHORT)
                thin = (len(data) - mark) * _JPEG_THIN < pixels
                return Bounds(pixels, seconds, thin=thin, memory=memory)
        if junk > _MOST_JUNK:
            raise Excess(f"over {_MOST_JUNK} bytes that belong to no segment")
    raise Excess(f"over {MOST_SEGMENTS} segments")


def _jpeg_memory(pixels: int, components: bytes) -> int:
    """Bytes of a progressive JPEG: two a coefficient, all of them, and the picture."""
    factors = [byte >> 4 for byte in components[1::3]], [byte & 15 for byte in components[1::3]]
    most = max(max(across, default=1) * max(down, default=1) for across, down in [factors])
    coefficients = sum(across * down for across, down in zip(*factors, strict=True)) / max(most, 1)
    return int(pixels * (2 * coefficients + (1 if len(components) == 3 else 4)))


def _jpeg_scans(data: bytes, place: int) -> int:
    """Count the scans from the first one on, as a decoder meets them."""
    scans = len(re.findall(rb"\xff\xda", data[place:]))
    if scans <= MOST_SCANS:  # counted from above: segments may hold anything
        return scans
    scans = 0
    for _ in range(MOST_SEGMENTS):
        mark = _JPEG_MARKER.search(data, place)
        if mark is None or data[mark.start() + 1] == 0xD9:
            return scans
        kind, place = data[mark.start() + 1], mark.end()
        if kind not in _JPEG_BARE and place + 2 <= len(data):
            place += int.from_bytes(data[place : place + 2], "big")
        scans += kind == 0xDA
        if scans > MOST_SCANS:
            raise Excess(f"over {MOST_SCANS} scans")
    raise Excess(f"over {MOST_SEGMENTS} segments")


def _png(data: bytes) -> Bounds:
    width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
    most = 2000 + len(data) // 1000
    stored = count = 0
    bounded, place = True, 8
    while place + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        kind = data[place + 4 : place + 8]
        count += 1
        if count > most:
            raise Excess(f"over {most} chunks in {len(data)} bytes")
        if kind == b"IDAT":
            stored += min(length, len(data) - place - 8)
        elif kind == b"eXIf":
            check_exif(data[place + 8 : place + 8 + length])
        elif kind.endswith(b"Xt") and data[place + 8 : place + 25] == b"Raw profile type ":
            bounded = False
        elif kind == b"IEND":
            break
        place += 12 + length
    row_bytes = 1 + -(-width * depth * _PNG_CHANNELS.get(colour, 1) // 8)
    pixels = width * height
    if stored * _INFLATED < _NEARLY_ALL * row_bytes * height:
        return Bounds(pixels, excess=TOO_SHORT)
    seconds = 2 * pixels * _PER_PIXEL + len(data) * _PER_BYTE + count * _PER_ITEM
    return Bounds(pixels, seconds if bounded else math.inf)


def _gif(data: bytes) -> Bounds:
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    place = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    blocks = 0
    while place < len(data) and data[place] == 0x21:
        place += 2
        while place < len(data) and data[place]:
            place += 1 + data[place]
            blocks += 1
            if blocks > MOST_BLOCKS:
                raise Excess(f"over {MOST_BLOCKS} blocks before the first frame")
        place += 1
    frame_width, frame_height = struct.unpack_from("<HH", data, place + 5)
    pixels = max(width, frame_width) * max(height, frame_height)
    # A code of at most 12 bits stands for at most 4096 bytes.
    if 2731 * (len(data) - place) < _NEARLY_ALL * frame_width * frame_height:
        return Bounds(pixels, excess=TOO_SHORT)
    # A comment is copied whole for every block of it.
    metadata = blocks * (_PER_ITEM + place * 1e-10)
    return Bounds(pixels, pixels * _PER_PIXEL + len(data) * _PER_BYTE + metadata)


def _webp(data: bytes) -> Bounds:
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    else:
        return Bounds()
    pixels = width * height
    if kind == b"VP8X" and (data[20] & _WEBP_ANIMATED or not _few_webp_chunks(data)):
        return Bounds(pixels)
    return Bounds(pixels, 3 * pixels * _PER_PIXEL + 2 * len(data) * _PER_BYTE)


def _few_webp_chunks(data: bytes) -> bool:
    place = 12
    for _ in range(100):
        if place + 8 > len(data):
            return True
        (length,) = struct.unpack_from("<I", data, place + 4)
        if data[place : place + 4] == b"EXIF":
            block = data[place + 8 : place + 8 + length]
            check_exif(block.removeprefix(b"Exif\0\0"))
        place += 8 + length + length % 2
    return False


def _bmp(data: bytes) -> Bounds:
    (header,) = struct.unpack_from("<I", data, 14)
    if header == 12:
        width, height = struct.unpack_from("<HH", data, 18)
        stored = True
    else:
        width, height = (abs(side) for side in struct.unpack_from("<ii", data, 18))
        stored = struct.unpack_from("<I", data, 30)[0] in _BMP_STORED
    seconds = width * height * _PER_PIXEL if stored else math.inf
    return Bounds(width * height, seconds)


def _ppm(data: bytes) -> Bounds:
    head = _PPM.match(data[:64])
    if head is None:
        return Bounds()
    pixels = int(head[1]) * int(head[2])
    return Bounds(pixels, pixels * _PER_PIXEL)


def _tiff(data: bytes) -> Bounds:
    bounds = tiff_bounds(data)
    if bounds is None:
        return Bounds()
    if not bounds.complete:
        return Bounds(bounds.pixels, excess=TOO_SHORT)
    seconds = bounds.pixels * 2 * _PER_PIXEL + bounds.strips * _PER_ITEM
    return Bounds(bounds.pixels, seconds if bounds.bounded else math.inf)


def _camera_raw(data: bytes) -> Bounds:
    """Check the directories; the preview has bounds of its own."""
    tiff_bounds(data)
    return Bounds()


def _heif(data: bytes) -> Bounds:
    """The size is declared; the coded frame may have another one, so the work is not bounded."""
    found = re.findall(rb"ispe.{4}(.{4})(.{4})", data[:_MOST_JUNK], re.DOTALL)
    sizes = [int.from_bytes(one, "big") * int.from_bytes(two, "big") for one, two in found]
    return Bounds(max(sizes, default=0))


def _jpeg_xl(data: bytes) -> Bounds:
    width, height = jpeg_xl_size(data)
    return Bounds(width * height)


def _jpeg2000(data: bytes) -> Bounds:
    size = data.find(b"\xff\x4f\xff\x51", 0, _MOST_JUNK)
    if size < 0:
        return Bounds()
    right, bottom, left, top = struct.unpack_from(">IIII", data, size + 8)
    pixels = max(0, right - left) * max(0, bottom - top)
    tile = math.prod(struct.unpack_from(">II", data, size + 24))
    (components,) = struct.unpack_from(">H", data, size + 40)
    # Samples of a tile take four bytes, and are copied.
    memory = 4 * pixels + min(pixels, tile) * 5 * components
    return Bounds(pixels, memory=memory, halves=True)


_FORMATS: dict[str, Callable[[bytes], Bounds]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "GIF": _gif,
    "WEBP": _webp,
    "BMP": _bmp,
    "PPM": _ppm,
    "TIFF": _tiff,
    "AVIF": _heif,
    HEIC: _heif,
    "JPEG2000": _jpeg2000,
    JPEG_XL: _jpeg_xl,
    CAMERA_RAW: _camera_raw,
}
