"""Files that every viewer shows are read; those of which much is missing are not."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from asl.data.image_repair import without_ancillary_chunks
from asl.data.images import ImageError, decode_image
from asl.data.scenes import render_scene
from asl.data.signatures import OPTIONAL, is_read


def encoded(kind: str, height: int = 512, **options: object) -> bytes:
    buffer = io.BytesIO()
    scene = render_scene(3, height=height, width=400)
    Image.fromarray(scene).save(buffer, kind, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("lost", [1, 2, 40])
def test_a_jpeg_without_its_last_bytes_is_read(options: dict[str, object], lost: int) -> None:
    data = encoded("JPEG", **options)
    pixels = decode_image(data[:-lost])
    whole = decode_image(data)
    assert pixels.shape == whole.shape
    rows = int((pixels != whole).any(axis=(1, 2)).sum())
    assert rows <= (17 if lost > 2 else 0)


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
@pytest.mark.parametrize("kept", [0.3, 0.7, 0.85])
def test_a_jpeg_of_which_much_is_missing_is_refused(
    options: dict[str, object], kept: float
) -> None:
    data = encoded("JPEG", **options)
    with pytest.raises(ImageError, match=r"truncated: \d+% of the picture is missing"):
        decode_image(data[: int(kept * len(data))])


def test_the_missing_share_is_that_of_a_turned_picture_too() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded("JPEG", exif=exif)
    assert decode_image(data[:-2]).shape == (400, 512, 3)
    with pytest.raises(ImageError, match="missing"):
        decode_image(data[: len(data) // 2])


def test_a_small_jpeg_that_lacks_its_end_is_read_at_a_fraction_of_its_size() -> None:
    data = encoded("JPEG", height=900)
    assert decode_image(data[:-2], least=100).shape[0] < 900


def chunk(kind: bytes, data: bytes, *, sound: bool = True) -> bytes:
    crc = zlib.crc32(kind + data) ^ (0 if sound else 1)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)


def with_chunk(extra: bytes, *, at: int = 33) -> bytes:
    data = encoded("PNG")
    return data[:at] + extra + data[at:]


PROFILE = b"monitor\0\0" + zlib.compress(np.random.default_rng(0).bytes(2 << 20))


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"iCCP", PROFILE),
        chunk(b"tEXt", b"Comment\0" + b"x" * 30, sound=False),
        chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(100 << 20))),
        chunk(b"iTXt", b"broken"),
        chunk(b"eXIf", b"II*\0" + bytes(100), sound=False),
    ],
    ids=["profile", "checksum of a text", "large text", "broken text", "checksum of EXIF"],
)
def test_a_png_with_a_bad_ancillary_chunk_is_read(extra: bytes) -> None:
    assert np.array_equal(decode_image(with_chunk(extra)), render_scene(3, height=512, width=400))


def test_a_png_of_damaged_pixels_is_refused() -> None:
    data = bytearray(with_chunk(chunk(b"tEXt", b"x", sound=False)))
    place = data.index(b"IDAT") + 50
    data[place] ^= 255
    with pytest.raises(ImageError):
        decode_image(bytes(data))
    assert without_ancillary_chunks(bytes(data)) is None
    assert without_ancillary_chunks(encoded("PNG")[:-30]) is None
    assert without_ancillary_chunks(b"\x89PNG\r\n\x1a\n" + chunk(b"", b"")[:6]) is None


def test_transparency_and_orientation_survive() -> None:
    picture = Image.fromarray(render_scene(3, height=40, width=60)).quantize(16)
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", transparency=0, exif=exif)
    data = buffer.getvalue()
    broken = data[:33] + chunk(b"tEXt", b"x", sound=False) + data[33:]
    assert np.array_equal(decode_image(broken), decode_image(data))
    assert decode_image(broken).shape == (60, 40, 3)


def test_a_picture_of_another_format_is_named() -> None:
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200)
    reason = r"^corrupt: the header of this HEIC" if is_read("HEIC") else "^a HEIC picture; to read"
    with pytest.raises(ImageError, match=reason):
        decode_image(heic)
    with pytest.raises(ImageError, match=r"^a Photoshop picture, a format this cannot read"):
        decode_image(b"8BPS\0\1" + bytes(50))
    with pytest.raises(ImageError, match=r"^no image of an allowed format") as caught:
        decode_image(b"plain text " * 20)
    assert [form.kind in str(caught.value) for form in OPTIONAL] == [
        is_read(form.kind) for form in OPTIONAL
    ]
    with pytest.raises(ImageError, match=r"^corrupt: the header of this WEBP cannot be read"):
        decode_image(b"RIFF\0\0\0\0WEBP" + bytes(50))
