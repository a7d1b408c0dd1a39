"""Training items: one draw, one set of bytes; another draw, other views."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from asl.data.catalog import open_catalog
from asl.data.hard_pair_lists import HardPair
from asl.data.images import decode_image
from asl.data.scenes import render_scene
from asl.data.training_set import Draw, HardPairs, TrainingSet, ViewPlan
from asl.edits import make_views
from asl.edits.recipes import load_recipe
from asl.types import AslError


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for number in range(3):
        cv2.imwrite(
            str(folder / f"{number}.jpg"), render_scene(number, height=60, width=72)[..., ::-1]
        )
    return folder


def training(photos: Path, **keys: Any) -> TrainingSet:
    return TrainingSet(
        open_catalog(photos), ViewPlan(recipe=load_recipe("light"), views=3, sizes={0: 32}, **keys)
    )


def test_a_draw_names_its_bytes(photos: Path) -> None:
    draws = [
        Draw(0, 0),
        Draw(0, 1),
        Draw(0, 0, True, number=1),
        Draw(0, 0, True, number=2),
        Draw(1, 0),
    ]
    made = [training(photos)[draw]["images"].numpy() for draw in draws]
    again = [training(photos)[draw]["images"].numpy() for draw in draws]
    assert all(np.array_equal(one, other) for one, other in zip(made, again, strict=True))
    for place, one in enumerate(made):
        for other in made[place + 1 :]:
            assert not np.array_equal(one[1], other[1])
            assert not np.array_equal(one[2], other[2])
    assert all(np.array_equal(one[0], made[0][0]) for one in made[:4]), "view 0 is the image itself"


def test_a_direction_is_looked_up_with_its_pair(photos: Path) -> None:
    pairs = [HardPair("0.jpg", "2.jpg"), HardPair("2.jpg", "1.jpg", directed=True)]
    found = HardPairs.from_ids(pairs, open_catalog(photos))
    assert found.rows.tolist() == [[0, 2], [2, 1]]
    assert found.directed.tolist() == [False, True]
    with pytest.raises(AslError, match=r"1 id\(s\) are no training image, e\.g\. 'x\.jpg'"):
        HardPairs.from_ids([HardPair("x.jpg", "0.jpg")], open_catalog(photos))


def whole(folder: Path, size: int) -> np.ndarray:
    """The slow way: every pixel is decoded, then the same views are made."""
    image = decode_image(folder / "a.jpg")
    views = make_views(image, load_recipe("light"), key="a.jpg@0", seed=0, views=3, size=size)
    return np.stack([view.image for view in views]).transpose(0, 3, 1, 2)


@pytest.mark.parametrize(
    ("height", "decoded"), [(96, 96), (127, 127), (128, 64), (250, 125), (256, 64), (600, 75)]
)
def test_a_large_jpeg_is_decoded_at_what_the_edits_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, height: int, decoded: int
) -> None:
    """At 32 pixels a side: reduced as long as 64 pixels are left; smaller images to the byte."""
    cv2.imwrite(
        str(tmp_path / "a.jpg"), render_scene(3, height=height, width=2 * height)[..., ::-1]
    )
    heights = []

    def decode(data: bytes, **keys: Any) -> np.ndarray:
        heights.append(len(image := decode_image(data, **keys)))
        return image

    monkeypatch.setattr("asl.data.training_set.decode_image", decode)
    made = training(tmp_path)[Draw(0, 0)]["images"].numpy()
    assert heights == [decoded]
    slow = whole(tmp_path, 32)
    if decoded == height:
        assert np.array_equal(made, slow)
    else:
        difference = np.abs(made.astype(int) - slow)
        assert 0 < difference.mean() < 4, "slightly other pixels of the same views"
