"""JPEG XL: size from the header, pixels as stored."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from asl.data.images import ImageError, decode_image
from asl.data.jpeg_xl import jpeg_xl_size
from asl.data.picture_bounds import examine
from asl.data.scenes import render_scene
from tests.data.photo_files import imagecodecs, jpeg, jpeg_xl

SCENE = Image.fromarray(render_scene(1, height=48, width=72))


@pytest.mark.parametrize(
    "size", [(1, 1), (8, 8), (72, 48), (256, 256), (300, 200), (513, 97), (4000, 3), (9000, 1)]
)
def test_the_size_is_read_from_the_header(size: tuple[int, int]) -> None:
    data = jpeg_xl(SCENE.resize(size))
    assert jpeg_xl_size(data) == size
    assert examine(data).pixels == size[0] * size[1]
    assert not examine(data).cheap


def test_pixels_of_every_kind() -> None:
    assert np.array_equal(decode_image(jpeg_xl(SCENE)), np.asarray(SCENE))
    grey = SCENE.convert("L")
    assert np.array_equal(decode_image(jpeg_xl(grey))[..., 1], np.asarray(grey))
    deep = imagecodecs.jpegxl_encode(np.asarray(SCENE).astype(np.uint16) * 257, lossless=True)
    assert np.array_equal(decode_image(bytes(deep)), np.asarray(SCENE))
    clear = SCENE.convert("RGBA")
    clear.putalpha(0)
    assert (decode_image(jpeg_xl(clear)) == 255).all()


def test_a_jpeg_inside_a_container() -> None:
    data = jpeg(SCENE)
    packed = bytes(imagecodecs.jpegxl_encode_jpeg(data))
    assert jpeg_xl_size(packed) == SCENE.size
    plain = np.asarray(Image.open(io.BytesIO(data))).astype(int)
    assert np.abs(decode_image(packed).astype(int) - plain).mean() < 2


def test_damage_has_a_reason() -> None:
    data = jpeg_xl(SCENE)
    for damaged in (data[:3], data[: len(data) // 2], b"\xff\x0a" + bytes(30)):
        with pytest.raises(ImageError):
            decode_image(damaged)
    with pytest.raises(SyntaxError):
        jpeg_xl_size(b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40))
    with pytest.raises(ImageError, match="too many pixels"):
        decode_image(data, max_pixels=1000)
