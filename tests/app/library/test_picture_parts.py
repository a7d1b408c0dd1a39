"""Facts, thumbnail and network input are the same in this process and in another one."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from asl.app.library.picture_parts import PictureParts
from asl.data.images import ImageError, decode_image
from asl.models import Preprocessing
from tests.app.conftest import encode, textured
from tests.data.crafted_pictures import DRAWN

PARTS = PictureParts(max_pixels=1_000_000, thumbnail_side=200, plan=Preprocessing(size=64))


@pytest.mark.parametrize("isolate", [False, True])
def test_the_parts_of_a_picture(isolate: bool) -> None:
    data = encode(textured(0))
    facts, thumbnail, pixels = PARTS.within_budget(data, isolate=isolate)
    whole = decode_image(data)
    assert (facts.height, facts.width, facts.bytes) == (*whole.shape[:2], len(data))
    assert max(decode_image(thumbnail).shape) == 200
    expected = cv2.resize(whole, (64, 64), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(pixels, expected)


@pytest.mark.parametrize("isolate", [False, True])
def test_a_picture_that_asks_for_too_much_is_no_usable_image(isolate: bool) -> None:
    with pytest.raises(ImageError, match=r"^over 64 scans$"):
        PARTS.within_budget(DRAWN["jpeg: 5,000 scans"][0](), isolate=isolate)
    with pytest.raises(ImageError, match=r"^too many pixels") as caught:
        PARTS.within_budget(encode(textured(0, 1500, 1500), "PNG"), isolate=isolate)
    assert caught.value.too_large
