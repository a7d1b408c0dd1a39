"""Open JPEG XL pictures: the size from the header, the pixels by imagecodecs."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

from asl.types import U8

_CODESTREAM = b"\xff\x0a"
_CONTAINER_BYTES = 12  # of the first box, which is the signature
_MOST_BOXES = 1000
_SIDE_BITS = (9, 13, 18, 30)  # of a side, by a number of two bits
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
_HEADER_BYTES = 16  # that hold the sides


def jpeg_xl_size(data: bytes) -> tuple[int, int]:
    """Read the (width, height) of a JPEG XL picture as it is stored (ISO/IEC 18181-1, D.2).

    Raises:
        SyntaxError: there is no header.
    """
    start = 0 if data.startswith(_CODESTREAM) else _codestream(data)
    header = data[start + 2 : start + 2 + _HEADER_BYTES]
    if data[start : start + 2] != _CODESTREAM or len(header) < _HEADER_BYTES // 2:
        raise SyntaxError("no header of a JPEG XL picture")
    bits = _Bits(header)
    small = bool(bits.take(1))
    height = _side(bits, small)
    ratio = bits.take(3)
    if ratio:
        over, under = _RATIOS[ratio]
        return height * over // under, height
    return _side(bits, small), height


class _Bits:
    """Take numbers from bytes, lowest bits first."""

    def __init__(self, data: bytes) -> None:
        self._rest = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        number = self._rest & ((1 << count) - 1)
        self._rest >>= count
        return number


def _side(bits: _Bits, small: bool) -> int:
    if small:
        return 8 * (bits.take(5) + 1)
    return bits.take(_SIDE_BITS[bits.take(2)]) + 1


def _codestream(data: bytes) -> int:
    """Return where the codestream begins in a container."""
    place = _CONTAINER_BYTES
    for _ in range(_MOST_BOXES):
        if place + 16 > len(data):
            break
        (size,) = struct.unpack_from(">I", data, place)
        head = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, place + 8)
            head = 16
        kind = data[place + 4 : place + 8]
        if kind in (b"jxlc", b"jxlp"):
            return place + head + (4 if kind == b"jxlp" else 0)
        if size < head:
            break
        place += size
    raise SyntaxError("no codestream in this JPEG XL picture")


class JpegXlFile(ImageFile.ImageFile):
    """A JPEG XL picture for Pillow: the first frame, upright, at 8 bits a channel."""

    format = "JXL"
    format_description = "JPEG XL"

    def _open(self) -> None:
        self._data: bytes | None = self.fp.read()  # type: ignore[union-attr]
        self._size = jpeg_xl_size(self._data)
        self._mode = "RGB"

    def load(self) -> Any:
        """Decode the pixels, once."""
        if self._data is not None:
            import imagecodecs

            try:
                pixels = imagecodecs.jpegxl_decode(self._data, index=0, numthreads=1)
            except RuntimeError as error:  # libjxl's own class
                raise OSError(str(error)) from error
            decoded = Image.fromarray(_eight_bits(np.asarray(pixels)))
            self._mode, self._size = decoded.mode, decoded.size
            self.im = decoded.im
            self._data = None
        return Image.Image.load(self)


def _eight_bits(pixels: npt.NDArray[Any]) -> U8:
    """Scale pixels to 8 bits; high dynamic range is cut off at white."""
    if pixels.dtype == np.uint16:
        return np.asarray(pixels >> 8, np.uint8)
    if pixels.dtype.kind == "f":
        return np.asarray(255 * np.clip(np.nan_to_num(pixels), 0, 1) + 0.5, np.uint8)
    return np.asarray(pixels, np.uint8)
