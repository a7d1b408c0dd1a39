"""Keys of the data group: what one kind of data does not read is refused, not ignored."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from asl.data.batch_sampler import IdentityBatches
from asl.data.scenes import render_scene
from asl.data.training_set import HardPairs
from asl.data.training_sources import DataConfig, check_keys, describe_passes, open_sources
from asl.types import AslError, UsageError


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
        (
            {"name": "ndec", "root": "x", "layout": "3"},
            r"^data\.layout: expected folder, ndec, .*, copydays or auto, got '3'$",
        ),
        ({"content": "3"}, r"^data\.content: expected visible, detail, area, got '3'$"),
        ({"name": "sample", "root": "x"}, r"data\.root: is of published sets, not of data=sample"),
        ({"name": "folder"}, r"data\.train: needed with data=folder"),
        ({"name": "folder", "train": "typo"}, r"^data\.train: there is no typo; check the path$"),
        ({"name": "ndec", "root": "typo"}, r"^data\.root: there is no typo; check"),
        ({"validation": "typo"}, r"^data\.validation: there is no typo; check"),
        ({"benchmark": "typo"}, r"^data\.benchmark: there is no typo; check"),
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
        ({"identities": 32, "hard_pairs_as": "classes"}, 2),
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


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"identities": 0}, r"^data\.identities: must be 2 or more, got 0"),
        ({"identities": 4, "pairs": 2}, r"^data\.identities: 4 in a batch .* beside 2 hard pairs"),
        ({"views": 1}, r"^data\.views: must be 2 or more, got 1"),
        ({"sizes": [], "size_starts": []}, r"^data\.sizes: needs one side or more"),
        ({"sizes": [31]}, r"^data\.sizes: .* at least 32 pixels, got \[31\]"),
        ({"sizes": [32, 64]}, r"^data\.size_starts: needs one epoch for each of .*; got \[0\]"),
        ({"size_starts": [1]}, r"^data\.size_starts: .* the first of them 0; got \[1\]"),
    ],
)
def test_batches_that_no_training_can_have_are_refused_first(
    keys: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        check_keys(DataConfig(name="folder", train="not opened", **keys))


def test_pairs_need_room_and_a_list(photos: Path) -> None:
    keys: dict[str, Any] = {"name": "folder", "train": str(photos), "hard_pairs": None}
    with pytest.raises(UsageError, match=r"^data\.pairs: the data has no hard pairs, got 1"):
        open_sources(DataConfig(**keys, pairs=1))
    keys["hard_pairs"] = str(photos / "pairs.csv")
    with pytest.raises(UsageError, match=r"^data\.identities: 2 in a batch leave no room"):
        open_sources(DataConfig(**keys, identities=2))


def test_nothing_is_said_of_hard_pairs_where_none_are_given(photos: Path) -> None:
    sources = open_sources(DataConfig(name="folder", train=str(photos)))
    line = describe_passes(sources, identities=2, steps=10, processes=1)
    assert line.endswith(" times")


def test_a_pair_of_an_unknown_image_names_the_list(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "odd.csv").write_text("0.jpg,nowhere.jpg\n")
    keys: dict[str, Any] = {"name": "folder", "train": str(photos)}
    with pytest.raises(AslError, match=r"odd\.csv: 1 id is no .*'nowhere\.jpg'.*such as '0\.jpg'$"):
        open_sources(DataConfig(**keys, hard_pairs=str(tmp_path / "odd.csv")))


def test_fewer_than_no_pairs_are_refused(photos: Path) -> None:
    with pytest.raises(UsageError, match=r"data\.pairs: must be 0 or more, got -1"):
        open_sources(DataConfig(name="folder", train=str(photos), pairs=-1))


@pytest.fixture(scope="module")
def ndec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty DISC21 images, of which one is in a pair, and twelve pairs with 23 further images."""
    root = tmp_path_factory.mktemp("ndec")

    def write(path: Path, look: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), render_scene(look, height=40, width=48)[..., ::-1])

    for number in range(40):
        write(root / "train" / f"T{number:06}.jpg", number)
    for number in range(12):
        known = "T000005" if number == 0 else f"a{number}"
        write(root / "negative_pair" / f"{number:05}" / f"{known}.jpg", 50 + number)
        write(root / "negative_pair" / f"{number:05}" / f"b{number}.jpg", 50 + number)
    for folder, name in (("references", "R000001"), ("query_images_h5", "Q25000")):
        write(root / folder / f"{name}.jpg", 0)
    (root / "public_ground_truth_h5.csv").write_text("query_id,reference_id\nQ25000,R000001\n")
    return root


@pytest.mark.parametrize(
    ("role", "images", "pairs", "passes"),
    [
        # 4 of 40, T000005, 23 images of pairs; 16 identities of which 4 pairs, or one.
        ("negatives", 4 + 24, 4, "a plain image is seen 28.6 times, one of the 24 images of 12"),
        ("positives", 4 + 24, 4, "a plain image is seen 28.6 times, one of the 24 images of 12"),
        ("classes", 4 + 24, 1, "a plain image is seen 50.0 times, one of the 24 images of 12"),
        ("none", 4, 0, "is seen 400.0 times, 12 hard pairs left out (hard_pairs_as=none)"),
    ],
)
def test_pairs_have_one_meaning_for_thinning_and_sampler(
    ndec: Path, role: str, images: int, pairs: int, passes: str
) -> None:
    config = DataConfig(name="ndec", root=str(ndec), every=10, identities=16, hard_pairs_as=role)
    sources = open_sources(config)
    assert (len(sources.train), sources.pairs) == (images, pairs)
    assert ("00003/b3" in sources.train.ids) == (role != "none")
    assert ("T000005" in sources.train.ids) == (role != "none")
    line = describe_passes(sources, identities=16, steps=100, processes=1)
    assert passes in line
    if role == "none":
        assert sources.hard_pairs is None
        return
    assert sources.hard_pairs is not None
    assert sources.hard_pairs.role == role
    drawn = next(
        iter(
            IdentityBatches(
                len(sources.train),
                identities=16,
                epoch=0,
                hard_pairs=sources.hard_pairs,
                pairs=sources.pairs,
            )
        )
    )
    assert [draw.paired for draw in drawn[-2 * pairs :]] == [role != "classes"] * (2 * pairs)
    groups = sources.hard_pairs.groups(images)
    assert (groups is None) == (role != "positives")
    if groups is not None:
        first, second = sources.hard_pairs.rows.T
        assert (groups[first] == groups[second]).all()
        assert len(set(groups.tolist())) == 4 + 12


def test_groups_are_chains_of_pairs() -> None:
    rows = np.array([[0, 3], [3, 5], [1, 2]])
    pairs = HardPairs(rows, np.zeros(3, dtype=bool), "positives")
    groups = pairs.groups(6)
    assert groups is not None
    assert groups.tolist() == [0, 1, 1, 0, 4, 0]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"hard_pairs_as": "both"}, r"data\.hard_pairs_as: expected classes, .*, got 'both'"),
        ({"hard_pairs_as": "none", "pairs": 3}, r"data\.pairs: hard pairs are left out .*, got 3"),
    ],
)
def test_meanings_that_contradict_are_refused(
    ndec: Path, keys: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        open_sources(DataConfig(name="ndec", root=str(ndec), **keys))


def test_broken_pair_folders_are_left_out_up_to_a_share(ndec: Path, tmp_path: Path) -> None:
    root = tmp_path / "ndec"
    shutil.copytree(ndec, root)
    (root / "negative_pair" / "00003" / "third.jpg").write_bytes(b"")
    sources = open_sources(DataConfig(name="ndec", root=str(root)))
    folder = str(root / "negative_pair" / "00003")
    assert sources.left_out == {folder: "a pair is two images, found 3"}
    assert sources.hard_pairs is not None
    assert len(sources.hard_pairs) == 11
    assert "00003/b3" not in sources.train.ids
    (root / "negative_pair" / "00004" / "b4.jpg").unlink()
    with pytest.raises(AslError, match=r"2 of 12 pair folders are broken, e\.g\. .*00003: a pair"):
        open_sources(DataConfig(name="ndec", root=str(root)))
