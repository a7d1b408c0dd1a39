"""Learned features that vote: what SIFT loses finds its original; few, of one byte; readers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Image_

from asl.matching.align.prepare import prepare
from asl.matching.align.xfeat import detect_xfeat
from asl.matching.candidates.exact_local_index import ExactLocalIndex
from asl.matching.candidates.learned_features import (
    LearnedReader,
    query_readings,
    reference_features,
)
from asl.matching.candidates.votes import rank_by_votes
from asl.matching.run.disk_cache import Cache
from asl.matching.values import Settings
from asl.types import AslError
from tests.matching.conftest import Image, textured


def screened(picture: Image) -> Image:
    """Print in black dots of several sizes on white, as a newspaper does."""
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    cell = 4
    rows, columns = np.indices(gray.shape) % cell
    threshold = np.hypot(rows - cell / 2, columns - cell / 2) / np.hypot(cell / 2, cell / 2)
    dots = np.where(gray / 255.0 > threshold, 255, 0).astype(np.uint8)
    return np.asarray(cv2.cvtColor(dots, cv2.COLOR_GRAY2RGB), np.uint8)


def dark(picture: Image) -> Image:
    rng = np.random.default_rng(0)
    noisy = picture * 0.12 + rng.normal(0, 6, picture.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def half(picture: Image) -> Image:
    height, width = picture.shape[:2]
    scene = np.full_like(picture, 128)
    small = cv2.resize(picture, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    scene[height // 4 : height // 4 + height // 2, width // 4 : width // 4 + width // 2] = small
    return scene


def tiny(picture: Image) -> Image:
    """Make a thumbnail of an eighth, and enlarge it again."""
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (width // 8, height // 8), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def third(picture: Image) -> Image:
    """Paste the picture on a third of another one's sides."""
    height, width = picture.shape[:2]
    scene = textured(77)
    small = cv2.resize(picture, (width // 3, height // 3), interpolation=cv2.INTER_AREA)
    scene[height // 5 : height // 5 + height // 3, width // 5 : width // 5 + width // 3] = small
    return scene


def mirrored(picture: Image) -> Image:
    return np.ascontiguousarray(picture[:, ::-1])


@pytest.fixture(scope="module")
def index() -> ExactLocalIndex:
    references = [prepare(textured(number), Settings()) for number in range(8)]
    return ExactLocalIndex.build(reference_features(image) for image in references)


@pytest.mark.parametrize("edit", [screened, dark, half, mirrored, tiny, third])
def test_edits_that_keep_the_picture_find_it(
    index: ExactLocalIndex, edit: Callable[[Image], Image]
) -> None:
    query = prepare(edit(textured(5)), Settings())
    assert rank_by_votes(index, query_readings(query), 1)[0].tolist() == [5]


def test_features_are_of_one_byte_and_few() -> None:
    image = prepare(textured(0), Settings())
    reference = reference_features(image)
    assert reference.descriptors.dtype == np.int8
    assert 0 < len(reference) <= 384
    readings = query_readings(image)
    assert [reading.descriptors.shape[1] for reading in readings] == [64] * 4
    assert max(len(reading) for reading in readings) <= 256
    unit = image.learned.descriptors[: len(readings[0])]
    np.testing.assert_allclose(readings[0].descriptors / 220.0, unit, atol=0.51 / 220)


def test_a_reference_is_also_read_as_its_thumbnail_shows_it() -> None:
    picture = textured(4)
    height, width = picture.shape[:2]
    small = Image_.fromarray(picture).resize((width // 4, height // 4), Image_.Resampling.BOX)
    thumbnail = np.asarray(small.resize((width // 2, height // 2), Image_.Resampling.BICUBIC))
    seen = detect_xfeat(thumbnail).descriptors
    read = reference_features(prepare(picture, Settings())).descriptors / 220.0
    whole, coarse = read[:-64] @ seen.T, read[-64:] @ seen.T
    assert np.median(coarse.max(axis=1)) > 0.9
    assert np.median(whole.max(axis=1)) < 0.85


def test_pictures_without_features_neither_vote_nor_fail(index: ExactLocalIndex) -> None:
    blank = prepare(np.full((20, 20, 3), 90, np.uint8), Settings())
    assert [len(reading) for reading in query_readings(blank)] == [0] * 4
    assert len(rank_by_votes(index, query_readings(blank), 3)[0]) == 0
    empty = ExactLocalIndex.build([reference_features(blank)])
    asked = query_readings(prepare(textured(1), Settings()))
    assert len(rank_by_votes(empty, asked, 3)[0]) == 0


def load(name: str) -> Image:
    if name == "broken":
        raise AslError("broken: is no image")
    return textured(int(name))


def test_readers_tell_queries_from_references_and_name_what_cannot_be_read() -> None:
    reference, query = LearnedReader(load), LearnedReader(load, is_query=True)
    one, four = reference("3"), query("3")
    assert isinstance(one, list)
    assert isinstance(four, list)
    assert (len(one), len(four)) == (1, 4)
    image = prepare(textured(3), Settings())
    np.testing.assert_array_equal(one[0].descriptors, reference_features(image).descriptors)
    for read, expected in zip(four, query_readings(image), strict=True):
        np.testing.assert_array_equal(read.descriptors, expected.descriptors)
    assert reference("broken") == query("broken") == "broken: is no image"


def test_prepared_references_are_read_from_the_cache(tmp_path: Path) -> None:
    cache = Cache(tmp_path, Settings(), "here")
    cache.put("reference", "broken", prepare(textured(6), Settings()))
    read = LearnedReader(load, cache=cache)("broken")
    assert isinstance(read, list), "the picture was prepared before"
    expected = LearnedReader(load)("6")
    assert isinstance(expected, list)
    np.testing.assert_array_equal(read[0].descriptors, expected[0].descriptors)
