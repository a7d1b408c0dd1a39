"""Keys of the data group: what one kind of data does not read is refused, not ignored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import pytest

from asl.data.scenes import render_scene
from asl.data.training_sources import DataConfig, open_sources
from asl.types import UsageError


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for number in range(4):
        cv2.imwrite(
            str(folder / f"{number}.jpg"), render_scene(number, height=40, width=48)[..., ::-1]
        )
    (folder / "pairs.csv").write_text("first,second,directed\n0.jpg,1.jpg,1\n2.jpg,3.jpg,0\n")
    return folder


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"name": "foldr", "train": "x"},
            r"data\.name: expected sample, folder, ndec, disc21, got 'foldr'",
        ),
        (
            {"name": "ndec", "root": "x", "train": "y"},
            r"data\.train: data=ndec has its training images in data\.root",
        ),
        (
            {"name": "disc21", "root": "x", "train": "y"},
            r"data\.train: data=disc21 .*set data=folder",
        ),
        (
            {"name": "sample", "train": "y"},
            r"data\.train: data=sample makes its own .*set data=folder",
        ),
        (
            {"name": "folder", "train": "x", "root": "y"},
            r"data\.root: is of published sets, not of data=folder",
        ),
        (
            {"name": "folder", "train": "x", "layout": "ndec"},
            r"data\.layout: is of published sets.*set data=ndec",
        ),
        ({"name": "sample", "root": "x"}, r"data\.root: is of published sets, not of data=sample"),
        ({"name": "folder"}, r"data\.train: needed with data=folder"),
        ({"name": "ndec"}, r"data\.root: needed with data=ndec"),
    ],
)
def test_a_key_that_would_be_ignored_is_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_sources(DataConfig(**keys))


@pytest.mark.parametrize(
    ("keys", "pairs"),
    [
        ({"identities": 32}, 8),
        ({"identities": 3}, 1),
        ({"pairs": 2}, 2),
        ({"pairs": 0}, 0),
        ({"hard_pairs": None}, 0),
    ],
)
def test_given_pairs_travel_unless_told_otherwise(
    photos: Path, keys: dict[str, Any], pairs: int
) -> None:
    config = {
        "name": "folder",
        "train": str(photos),
        "hard_pairs": str(photos / "pairs.csv"),
        **keys,
    }
    sources = open_sources(DataConfig(**config))
    assert sources.pairs == pairs
    if config["hard_pairs"]:
        assert sources.hard_pairs is not None
        assert sources.hard_pairs.rows.tolist() == [[0, 1], [2, 3]]
        assert sources.hard_pairs.directed.tolist() == [True, False]


def test_fewer_than_no_pairs_are_refused(photos: Path) -> None:
    with pytest.raises(UsageError, match=r"data\.pairs: must be 0 or more, got -1"):
        open_sources(DataConfig(name="folder", train=str(photos), pairs=-1))
