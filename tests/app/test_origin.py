from __future__ import annotations

import json
from dataclasses import replace

import pytest

from asl.app.facts import Facts, read_facts
from asl.app.judge import SAME, Judgement
from asl.app.origin import Origin, find_origin
from asl.app.thresholds import read_table, threshold_for
from asl.types import UsageError

from .conftest import encode, textured

WHOLE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
MIDDLE = ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))
EVEN = Judgement(0.95, 0.95, WHOLE, WHOLE, 1.0, 1.0)
PLAIN = Facts(1000, 800, 200_000)


@pytest.mark.parametrize(
    ("judgement", "first", "second", "norms", "direction", "why"),
    [
        (EVEN, PLAIN, PLAIN, (1.0, 1.0), "unclear", "no cue"),
        (EVEN, Facts(500, 400, 90_000), PLAIN, (1.0, 1.0), "second->first", "more pixels"),
        (EVEN, PLAIN, Facts(500, 400, 90_000), (1.0, 1.0), "first->second", "more pixels"),
        (EVEN, PLAIN, Facts(1000, 800, 200_000, camera="Canon"), (1.0, 1.0), "second->first", "camera"),
        (EVEN, Facts(1000, 800, 200_000, software="Adobe Photoshop"), PLAIN, (1.0, 1.0), "second->first", "editor"),
        (EVEN, PLAIN, PLAIN, (1.5, 1.0), "first->second", "feature"),
        (Judgement(0.95, 0.95, WHOLE, WHOLE, 1, 1, greyed=1), PLAIN, PLAIN, (1.0, 1.0), "second->first", "colours"),
        (Judgement(0.99, 0.02, WHOLE, MIDDLE, 1.0, 0.25), PLAIN, PLAIN, (1.0, 1.0), "second->first", "this direction"),
        (Judgement(0.02, 0.99, MIDDLE, WHOLE, 0.25, 1.0), PLAIN, PLAIN, (1.0, 1.0), "first->second", "this direction"),
    ],
)
def test_every_cue_can_decide(
    judgement: Judgement, first: Facts, second: Facts, norms: tuple[float, float], direction: str, why: str
) -> None:
    origin = find_origin(judgement, first, second, first_log_norm=norms[0], second_log_norm=norms[1])
    assert origin.direction == direction
    assert why in origin.why
    swapped = find_origin(judgement.flipped(), second, first, first_log_norm=norms[1], second_log_norm=norms[0])
    assert swapped.vote == pytest.approx(-origin.vote), "the answer does not depend on which one is called first"


def test_a_crop_keeps_fewer_pixels_of_the_shared_part_only_where_it_was_shrunk() -> None:
    cut = Judgement(0.9, 0.9, WHOLE, MIDDLE, 1.0, 0.95)
    same_scale = find_origin(cut, Facts(500, 400, 200_000), PLAIN)
    assert not same_scale.clear, "a quarter of the area, a quarter of the pixels: no cue"


def test_a_larger_file_tips_the_scales_and_decides_nothing_alone() -> None:
    """By hand: above a fifth more bytes .2 for the larger file, and .15 from a feature that is .075 longer make .35."""
    fuller = Facts(1000, 800, 250_000)
    alone = find_origin(EVEN, PLAIN, fuller)
    assert (alone.vote, alone.why, alone.direction) == (pytest.approx(0.2), "larger file", "unclear")
    assert find_origin(EVEN, fuller, PLAIN).vote == pytest.approx(-0.2)
    assert find_origin(EVEN, PLAIN, Facts(1000, 800, 240_000)).vote == 0, "a fifth more is not enough"
    assert find_origin(EVEN, PLAIN, fuller, second_log_norm=0.076).direction == "second->first"
    assert find_origin(EVEN, PLAIN, PLAIN, second_log_norm=0.076).direction == "unclear"


def test_equal_files_are_known_by_what_was_compared_and_not_by_the_words() -> None:
    fuller = Facts(1000, 800, 250_000)
    for judgement in (SAME, SAME.flipped(), Judgement.from_json(SAME.to_json())):
        assert find_origin(replace(judgement, reason="in other words"), PLAIN, fuller) == Origin(0.0, "the same file")
    assert find_origin(replace(EVEN, reason=SAME.reason), PLAIN, fuller).why == "larger file"


def test_facts_come_from_the_file(tmp_path: object) -> None:
    from PIL import ExifTags, Image

    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Maker\x00\x07"
    exif[ExifTags.Base.Model] = "M1"
    exif[ExifTags.Base.Software] = "x" * 500
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2024:05:01 12:00:00"
    data = encode(textured(0), exif=exif)
    facts = read_facts(data, height=300, width=400)
    assert (facts.format, facts.camera, facts.taken) == ("JPEG", "Maker M1", "2024:05:01 12:00:00")
    assert len(facts.software) == 80
    assert Facts.from_json(json.dumps(json.loads(facts.to_json()))) == facts
    assert read_facts(b"no image", height=1, width=1) == Facts(1, 1, 8)


def test_a_threshold_comes_from_the_table_or_is_the_probability_itself() -> None:
    table = read_table([{"precision": 0.9, "threshold": 0.4}, {"precision": 0.99, "threshold": 0.83}])
    assert threshold_for(0.99, table) == 0.83
    assert threshold_for(0.95, table) == 0.83, "the next stricter row"
    assert threshold_for(0.999, table) == 0.999, "no row is strict enough: the calibrated probability itself"
    assert read_table({"0.9": 0.4}) == ((0.9, 0.4),)
    assert read_table(None) == ()
    with pytest.raises(UsageError, match="precision"):
        threshold_for(0.2, table)
