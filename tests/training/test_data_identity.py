"""Training images are known by their content: the path does not count, another image does."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from asl.cli import compose
from asl.data.catalog import open_catalog
from asl.data.scenes import render_scene
from asl.data.training_set import HardPairs
from asl.train import run
from asl.training.data_identity import FILE, check_identity, identify, write_identity
from asl.types import AslError, UsageError
from tests.training.small_training import command_keys, step_of


def folder_of(path: Path, scenes: range, *, quality: int = 95) -> Path:
    path.mkdir()
    for name, scene in enumerate(scenes):
        image = render_scene(scene, height=40, width=48)[..., ::-1]
        cv2.imwrite(str(path / f"{name}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return path


def identity(folder: Path, hard_pairs: HardPairs | None = None) -> dict[str, Any]:
    return identify(open_catalog(folder), hard_pairs)


def test_a_copy_of_the_folder_at_another_place_is_the_same_data(tmp_path: Path) -> None:
    before = identity(folder_of(tmp_path / "photos", range(6)))
    shutil.copytree(tmp_path / "photos", tmp_path / "elsewhere")
    for path in (tmp_path / "elsewhere").iterdir():
        path.touch()  # a later time of change
    assert identity(tmp_path / "elsewhere") == before
    write_identity(tmp_path, before)
    check_identity(tmp_path, identity(tmp_path / "elsewhere"))


@pytest.mark.parametrize("scenes", [range(5), range(1, 7)], ids=["fewer", "as many"])
def test_other_images_under_the_same_path_are_refused(tmp_path: Path, scenes: range) -> None:
    photos = folder_of(tmp_path / "photos", range(6))
    write_identity(tmp_path, identity(photos))
    shutil.rmtree(photos)
    folder_of(photos, scenes)
    message = f"not those of the checkpoint .6 before, {len(scenes)} now;.*resume=false"
    with pytest.raises(UsageError, match=message):
        check_identity(tmp_path, identity(photos))


def test_one_image_saved_anew_makes_other_data(tmp_path: Path) -> None:
    first = folder_of(tmp_path / "a", range(6))
    second = folder_of(tmp_path / "b", range(6))
    assert identity(first) == identity(second)
    shutil.copy(folder_of(tmp_path / "c", range(6), quality=60) / "3.jpg", second / "3.jpg")
    assert identity(first)["digest"] != identity(second)["digest"]


def test_hard_pairs_and_their_direction_are_part_of_it(tmp_path: Path) -> None:
    photos = folder_of(tmp_path / "photos", range(4))

    def pairs(directed: bool) -> HardPairs:
        return HardPairs(np.array([[0, 1]]), np.array([directed]))

    plain, ordered = identity(photos, pairs(False)), identity(photos, pairs(True))
    assert plain["hard_pairs"] == ordered["hard_pairs"] == 1
    assert len({plain["digest"], ordered["digest"], identity(photos)["digest"]}) == 3


def test_without_an_earlier_training_anything_fits_and_a_damaged_file_is_named(
    tmp_path: Path,
) -> None:
    mine = identity(folder_of(tmp_path / "photos", range(2)))
    check_identity(tmp_path, mine)
    (tmp_path / FILE).write_text("{")
    with pytest.raises(AslError, match="delete it, or choose another output"):
        check_identity(tmp_path, mine)


@pytest.mark.filterwarnings("ignore")
def test_the_command_resumes_with_the_images_and_not_with_the_path(tmp_path: Path) -> None:
    photos, output = folder_of(tmp_path / "photos", range(6)), tmp_path / "run"

    def start(folder: Path, steps: int) -> int:
        more = [f"trainer.max_steps={steps}", f"output={output}"]
        return run(compose("train", [*command_keys(folder), *more]))

    assert start(photos, 1) == 0
    shutil.copytree(photos, tmp_path / "elsewhere")
    assert start(tmp_path / "elsewhere", 2) == 0
    shutil.rmtree(photos)
    with pytest.raises(UsageError, match="the training images are not those of the checkpoint"):
        start(folder_of(photos, range(10, 16)), 3)
    assert step_of(output) == 2, "the training that was there is unharmed"
