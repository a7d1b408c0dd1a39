from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import ExifTags, Image

from asl.app.library.facts import Facts, read_facts
from asl.data.images import decode_image
from tests.app.conftest import encode, textured


@pytest.mark.parametrize(
    ("maker", "model", "camera"),
    [
        ("Canon", "Canon EOS 80D", "Canon EOS 80D"),
        ("NIKON CORPORATION", "NIKON D90", "NIKON CORPORATION NIKON D90"),
        ("Apple", "iPhone 12", "Apple iPhone 12"),
        ("Apple", "", "Apple"),
        ("", "X100", "X100"),
    ],
)
def test_a_camera_is_not_named_twice(maker: str, model: str, camera: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = maker
    exif[ExifTags.Base.Model] = model
    data = encode(textured(0, 60, 80), exif=exif)
    assert read_facts(data, decode_image(data)).camera == camera


@pytest.mark.parametrize("unknown", ["0000:00:00 00:00:00", "    :  :     :  :  ", ""])
def test_an_unknown_date_is_none(unknown: str) -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = unknown
    data = encode(textured(0, 60, 80), exif=exif)
    assert read_facts(data, decode_image(data)).taken == ""


def test_facts_come_from_the_file(tmp_path: object) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Maker\x00\x07"
    exif[ExifTags.Base.Model] = "M1"
    exif[ExifTags.Base.Software] = "x" * 500
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2024:05:01 12:00:00"
    data = encode(textured(0), exif=exif)
    facts = read_facts(data, decode_image(data))
    assert (facts.format, facts.camera, facts.taken) == ("JPEG", "Maker M1", "2024:05:01 12:00:00")
    assert len(facts.software) == 80
    assert Facts.from_json(json.dumps(json.loads(facts.to_json()))) == facts
    nothing = read_facts(b"no image", np.zeros((1, 1, 3), np.uint8))
    assert (nothing.width, nothing.height, nothing.bytes, nothing.format, nothing.camera) == (
        1,
        1,
        8,
        "",
        "",
    )
    assert nothing.lost == (0.0,) * 5
    thin = read_facts(b"no image", textured(0, 3000, 1))
    assert (thin.few_colours, len(thin.lost)) == (False, 5)
    assert Facts.from_json('{"width": 2, "height": 1, "bytes": 8}') == Facts(2, 1, 8), (
        "of an earlier version"
    )
