"""Training items: one draw, one set of bytes; another draw, other views."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from asl.data.catalog import open_catalog
from asl.data.hard_pair_lists import HardPair
from asl.data.images import decode_image
from asl.data.scenes import render_scene
from asl.data.training_set import Draw, HardPairs, TrainingSet, ViewPlan, collate
from asl.edits import Edit, make_views
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
    with pytest.raises(AslError, match=r"1 id is no training image, e\.g\. 'x\.jpg'"):
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


def test_images_that_cannot_be_used_are_replaced_and_leave_their_pair(tmp_path: Path) -> None:
    """A line of 2,000 pixels, and more broken images in a row than were once tried."""
    for number in range(6):
        image = render_scene(number, height=80, width=96)[..., ::-1]
        cv2.imwrite(str(tmp_path / f"z{number}.png"), image)
    cv2.imwrite(str(tmp_path / "a-line.png"), np.zeros((1, 2000, 3), np.uint8))
    for number in range(30):
        (tmp_path / f"b{number:02}.jpg").write_bytes(b"no image")
    catalog = open_catalog(tmp_path)
    plan = ViewPlan(recipe=load_recipe("disc_like"), views=2, sizes={0: 32})
    training = TrainingSet(catalog, plan)
    row = {name: row for row, name in enumerate(catalog.ids.tolist())}
    good, broken = row["z0.png"], row["b00.jpg"]
    draws = [
        *(Draw(good, 0, True, True, 1), Draw(broken, 0, True, True, 1)),
        *(Draw(good, 0, True, True, 2), Draw(row["z1.png"], 0, True, True, 2)),
    ]
    items = [training[draw] for draw in draws]
    assert [item["paired"] for item in items] == [True, False, True, True]
    assert items[1]["failed"][0][0] == "b00.jpg"
    assert str(catalog.ids[items[1]["source"]]).startswith(("z", "a"))
    assert training[draws[1]]["source"] == items[1]["source"], "the same in any process"
    batch = collate(items)
    assert batch["pair_index"].tolist() == [[4, 6], [5, 7]], "the broken pair is none any more"
    line = training[Draw(row["a-line.png"], 0)]
    assert line["failed"] == [] or line["failed"][0][0] == "a-line.png"


def test_the_first_view_may_be_edited(photos: Path) -> None:
    def first(edit: Edit | None) -> npt.NDArray[np.uint8]:
        plan = ViewPlan(recipe=load_recipe("disc_like"), views=2, sizes={0: 64}, first=edit)
        return TrainingSet(open_catalog(photos), plan)[Draw(0, 0)]["images"].numpy()

    plain, edited = first(None), first(load_recipe("moderate"))
    assert (plain[0] != edited[0]).any()
    assert (plain[1] == edited[1]).all(), "the others are as they were"
