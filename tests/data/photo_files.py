"""Files as phones and cameras write them: HEIC, JPEG XL, RAW with a preview."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image

pillow_heif = pytest.importorskip("pillow_heif", reason="the tests make HEIC with pillow-heif")
imagecodecs = pytest.importorskip("imagecodecs", reason="JPEG XL needs asl-icd[photos]")
pytest.importorskip("rawpy", reason="camera RAW needs asl-icd[photos]")

_FORMATS = {1: "B", 3: "H", 4: "I", 5: "II", 10: "ii"}
Entries = dict[int, tuple[int, object]]  # tag -> (type, values)


def heic(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    pillow_heif.from_pillow(image).save(buffer, quality=95, **options)
    return buffer.getvalue()


def jpeg_xl(image: Image.Image) -> bytes:
    return bytes(imagecodecs.jpegxl_encode(np.asarray(image), lossless=True))


def jpeg(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def dng(
    preview: bytes, sensor: tuple[int, int] = (640, 480), *, orientation: int = 1, seed: int = 0
) -> bytes:
    """Write a DNG: a JPEG preview (none if empty) and a sensor of (width, height) pixels."""
    width, height = sensor
    noise = np.random.default_rng(seed).integers(0, 4096, (height, width), dtype=np.uint16)
    data = noise.tobytes()
    shown: Entries = {
        259: (3, [7]),
        273: (4, [0]),
        279: (4, [len(preview)]),
    }
    first: Entries = {
        254: (4, [1]),
        256: (4, [160]),
        257: (4, [120]),
        258: (3, [8, 8, 8]),
        262: (3, [6]),
        271: (2, "Pentax"),
        272: (2, "Pentax K-1"),
        274: (3, [orientation]),
        277: (3, [3]),
        278: (4, [120]),
        330: (4, [0]),
        50706: (1, [1, 4, 0, 0]),
        50707: (1, [1, 1, 0, 0]),
        50708: (2, "Pentax K-1"),
        50721: (10, [(1, 1), (0, 1), (0, 1), (0, 1), (1, 1), (0, 1), (0, 1), (0, 1), (1, 1)]),
        50728: (5, [(1, 1)] * 3),
        50778: (3, [21]),
        **(shown if preview else {}),
    }
    raw: Entries = {
        254: (4, [0]),
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [16]),
        259: (3, [1]),
        262: (3, [32803]),
        273: (4, [0]),
        277: (3, [1]),
        278: (4, [height]),
        279: (4, [len(data)]),
        33421: (3, [2, 2]),
        33422: (1, [0, 1, 1, 2]),
        50714: (4, [0]),
        50717: (4, [4095]),
    }
    second_at = 8 + len(_directory(first, 8))
    preview_at = second_at + len(_directory(raw, second_at))
    first[330] = (4, [second_at])
    if preview:
        first[273] = (4, [preview_at])
    raw[273] = (4, [preview_at + len(preview)])
    directories = _directory(first, 8) + _directory(raw, second_at)
    return b"II*\0" + struct.pack("<I", 8) + directories + preview + data


def _directory(entries: Entries, place: int) -> bytes:
    """Encode a TIFF directory that begins at a place of the file."""
    cells = values = b""
    behind = place + 2 + 12 * len(entries) + 4
    for tag, (kind, value) in sorted(entries.items()):
        packed = _packed(kind, value)
        count = len(packed) if kind == 2 else len(value)  # type: ignore[arg-type]
        cell = packed.ljust(4, b"\0")
        if len(packed) > 4:
            cell = struct.pack("<I", behind + len(values))
            values += packed + bytes(len(packed) % 2)
        cells += struct.pack("<HHI", tag, kind, count) + cell
    return struct.pack("<H", len(entries)) + cells + bytes(4) + values


def _packed(kind: int, value: object) -> bytes:
    if isinstance(value, str):
        return value.encode() + b"\0"
    assert isinstance(value, list)
    numbers = [number if isinstance(number, tuple) else (number,) for number in value]
    return b"".join(struct.pack(f"<{_FORMATS[kind]}", *parts) for parts in numbers)
