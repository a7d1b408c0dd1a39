from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from asl.app.library.facts import read_facts
from asl.data.images import (
    ImageError,
    ResizeMode,
    decode_image,
    encode_image,
    resize_image,
)
from asl.data.signatures import read_extensions

RED = (200, 30, 40)


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def half_red() -> Image.Image:
    image = Image.new("RGB", (6, 4), RED)
    image.paste((0, 0, 255), (3, 0, 6, 4))
    return image


FORMS = [
    "PNG",
    "BMP",
    "TIFF",
    "WEBP",
    "GIF",
    "PPM",
    *(["JPEG2000"] if ".jp2" in read_extensions() else []),
]


@pytest.mark.parametrize("form", FORMS)
def test_formats_give_the_same_pixels(form: str) -> None:
    options = {"lossless": True} if form == "WEBP" else {}
    assert np.array_equal(
        decode_image(encoded(half_red(), form, **options)), np.asarray(half_red())
    )


def test_exif_turns_the_image_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = decode_image(encoded(half_red(), "JPEG", exif=exif, quality=100, subsampling=0))
    assert upright.shape == (6, 4, 3)
    assert upright[0, 0, 0] > 150
    assert upright[5, 0, 2] > 150


def test_every_mode_becomes_rgb() -> None:
    assert decode_image(encoded(half_red().convert("CMYK"), "JPEG", quality=100))[1, 1, 0] > 150
    assert np.array_equal(decode_image(encoded(half_red().convert("P"))).shape, (4, 6, 3))
    assert (
        decode_image(encoded(Image.new("L", (3, 3), 77))).tolist()
        == np.full((3, 3, 3), 77).tolist()
    )
    clear = Image.new("RGBA", (2, 2), (10, 20, 30, 0))
    assert (decode_image(encoded(clear)) == 255).all(), "transparent pixels become white"
    deep = Image.fromarray(np.array([[0, 32768, 65535]], dtype=np.uint16))
    assert decode_image(encoded(deep))[0, :, 0].tolist() == [0, 128, 255], (
        "16 bits are scaled, not clipped"
    )


def half(colour: tuple[int, int, int]) -> Image.Image:
    pixels = np.zeros((24, 24, 3), np.uint8)
    pixels[:, :16] = colour
    return Image.fromarray(pixels)


def first_of(frames: list[Image.Image], kind: str) -> np.ndarray:
    more = {} if kind == "TIFF" else {"duration": 100}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **more)
    return decode_image(data)[0, 0].astype(int)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_animation_gives_its_first_frame_that_shows_something(kind: str) -> None:
    black = Image.new("RGB", (24, 24))
    red, green = half(RED), half((0, 255, 0))
    assert np.abs(first_of([red, green], kind) - RED).max() < 60
    assert np.abs(first_of([black, red, green], kind) - RED).max() < 60
    white = Image.new("RGB", (24, 24), (255, 255, 255))
    assert np.abs(first_of([black, white, green], kind) - (0, 255, 0)).max() < 60
    assert first_of([black, white], kind).max() < 12, "the first, where none shows anything"


def test_a_damaged_second_frame_leaves_the_first() -> None:
    frames = [Image.new("RGB", (24, 24)), half(RED)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode_image(data[: len(data) - 60]).max() < 12


def bomb(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 100))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"hello", "no image"),
        (b"%PDF-1.4", "no image"),
        (encoded(half_red(), "JPEG")[:200], "corrupt"),
        (encoded(half_red())[:60], "corrupt"),
        (bomb(60_000, 60_000), "too many pixels: 3600 megapixels, the limit is 100"),
        (bomb(11_000, 11_000), "too many pixels: 121 megapixels, the limit is 100"),
    ],
)
def test_bad_bytes_have_a_short_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError, match=reason) as caught:
        decode_image(data)
    assert len(caught.value.reason) < 200


def test_limits_are_the_caller_s(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(encoded(half_red()))
    with pytest.raises(ImageError, match="limit is 2e-05"):
        decode_image(tmp_path / "x.png", max_pixels=20)
    with pytest.raises(ImageError, match="limit is 10"):
        decode_image(tmp_path / "x.png", max_bytes=10)
    with pytest.raises(ImageError, match="cannot be read"):
        decode_image(tmp_path / "none.png")


@pytest.mark.parametrize("size", [(601, 403), (402, 603)])
def test_a_jpeg_beyond_the_limit_is_decoded_at_half_its_size(size: tuple[int, int]) -> None:
    gradient = Image.linear_gradient("L").resize(size).convert("RGB")
    turned = Image.Exif()
    turned[0x0112] = 6
    for exif, shape in ((Image.Exif(), size[::-1]), (turned, size)):
        data = encoded(gradient, "JPEG", exif=exif)
        assert decode_image(data, max_pixels=size[0] * size[1]).shape[:2] == shape
        half = decode_image(data, max_pixels=size[0] * size[1] // 2)
        assert half.shape[:2] == tuple(-(-side // 2) for side in shape)
        facts = read_facts(data, half)
        assert (facts.height, facts.width) == shape
    for data in (encoded(gradient, "JPEG", progressive=True), encoded(gradient, "PNG")):
        with pytest.raises(
            ImageError, match=r"too many pixels: 0\.242. megapixels, the limit is 0\.2$"
        ):
            decode_image(data, max_pixels=200_000)
    with pytest.raises(ImageError, match="too many pixels"):
        decode_image(encoded(gradient, "JPEG"), max_pixels=size[0] * size[1] // 5)


def test_a_pipe_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    """Opening it would wait for a writer for ever."""
    os.mkfifo(tmp_path / "x.png")
    with pytest.raises(ImageError, match="not a regular file"):
        decode_image(tmp_path / "x.png")


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_files_never_raise_anything_else(data: st.DataObject) -> None:
    form = data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"]))
    raw = bytearray(encoded(half_red().resize((32, 32)), form))
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        image = decode_image(bytes(raw))
    except ImageError:
        return
    assert image.dtype == np.uint8
    assert image.shape[2] == 3


def test_resizing_modes() -> None:
    image = np.zeros((40, 80, 3), np.uint8)
    image[:, 40:] = 255
    assert resize_image(image, 20).shape == (20, 20, 3)
    assert resize_image(image, 20, mode="short").shape == (20, 40, 3)
    padded = resize_image(image, 20, mode="pad")
    assert padded.shape == (20, 20, 3)
    assert (padded[:5] == 128).all()
    assert (padded[5:15, 12:] == 255).all()


@pytest.mark.parametrize("mode", ["squash", "short", "pad"])
def test_pictures_grow_bilinearly_or_cubically(mode: ResizeMode) -> None:
    image = np.zeros((40, 80, 3), np.uint8)
    image[10:30, 20:60] = 200
    cubic, linear = (
        resize_image(image, 200, mode=mode, resampling=name) for name in ("cubic", "linear")
    )
    assert cubic.max() > 200 >= linear[(linear != 128).any(axis=-1)].max(), "cubic overshoots"


def test_large_jpegs_may_come_out_smaller_but_never_below_what_is_asked() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    large = Image.fromarray(noise).resize((1600, 1200), Image.Resampling.BICUBIC)
    data = encoded(large, "JPEG", quality=95)
    for least, shape in (
        (0, (1200, 1600)),
        (700, (1200, 1600)),
        (500, (600, 800)),
        (300, (300, 400)),
        (2000, (1200, 1600)),
    ):
        assert decode_image(data, least=least).shape[:2] == shape
    assert decode_image(encoded(large, "PNG"), least=100).shape[:2] == (1200, 1600), "only JPEG can"
    exact, fast = (
        resize_image(decode_image(data, least=least), 150).astype(int) for least in (0, 300)
    )
    assert np.abs(exact - fast).mean() < 2


def logo(
    colour: tuple[int, int, int], *, second: tuple[int, int, int] | None = None
) -> Image.Image:
    """A disc on transparency, its left half perhaps of a second colour."""
    image = Image.new("RGBA", (64, 64), (255, 255, 255, 0))
    pen = ImageDraw.Draw(image)
    pen.ellipse((8, 8, 55, 55), fill=(*colour, 255))
    if second:
        pen.pieslice((8, 8, 55, 55), 90, 270, fill=(*second, 255))
    return image


@pytest.mark.parametrize(
    ("drawn", "background"),
    [
        (logo((255, 255, 255)), 0),
        (logo((230, 240, 235)), 0),
        (logo((0, 0, 0)), 255),
        (logo((200, 30, 90)), 255),
        (logo((255, 255, 255), second=(0, 0, 0)), 128),
    ],
    ids=["white", "pale", "black", "red", "black and white"],
)
def test_a_transparent_logo_stays_visible(drawn: Image.Image, background: int) -> None:
    decoded = decode_image(encoded(drawn))
    assert (decoded[0, 0] == background).all()
    half = decode_image(encoded(drawn.resize((32, 32))))
    assert (half[0, 0] == background).all(), "the same background at half the size"
    assert decoded.std() > 20


def test_an_encoded_image_comes_back() -> None:
    image = np.random.default_rng(0).integers(0, 255, (9, 7, 3), dtype=np.uint8)
    assert np.array_equal(decode_image(encode_image(image, 0)), image)
    assert encode_image(image, 90)[:2] == b"\xff\xd8"
    with pytest.raises(ImageError, match="70000 x 1 pixels cannot be encoded"):
        encode_image(np.zeros((1, 70_000, 3), np.uint8), 90)
