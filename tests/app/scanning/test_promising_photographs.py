"""A scan that compares promising pairs beside the slow way, on real photographs."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from asl.app.scanning.pair_prospects import prospects_of
from asl.data.images import decode_image
from asl.models.saved_model import read_model
from asl.models.shipped import PACKAGED, shipped_model
from asl.types import U8
from tests.app.conftest import encode
from tests.app.scans import scan, summary

TRAIN = Path(__file__).parents[4] / "shared" / "data" / "train"
PHOTOS, COPIED = 36, 12  # of each collection
Edit = Callable[[U8], U8]


def crop(photo: U8) -> U8:
    height, width = photo.shape[:2]
    return photo[height // 8 : -height // 4, width // 5 : -width // 10]


def framed(photo: U8) -> U8:
    return np.asarray(cv2.copyMakeBorder(photo, 20, 40, 30, 30, cv2.BORDER_CONSTANT), np.uint8)


def covered(photo: U8) -> U8:
    covered = photo.copy()
    cv2.putText(covered, "SALE", (20, 90), cv2.FONT_HERSHEY_SIMPLEX, 2.0, (255, 255, 0), 9)
    return covered


def blurred_mirror(photo: U8) -> U8:
    return np.asarray(cv2.GaussianBlur(photo[:, ::-1], (0, 0), 1.5), np.uint8)


EDITS: tuple[Edit, ...] = (crop, framed, covered, blurred_mirror)


def accepted(output: Path) -> set[frozenset[str]]:
    with (output / "copies.csv").open(newline="") as file:
        return {
            frozenset((Path(row["original"]).name, Path(row["copy"]).name))
            for row in csv.DictReader(file)
        }


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(not TRAIN.is_dir(), reason="needs the real photographs of ../shared")
def test_promising_pairs_of_photographs_lose_hardly_any_copy(tmp_path: Path) -> None:
    """Photographs, a third of them with a copy; wardrobes of one person are look-alikes."""
    photos = tmp_path / "photos"
    photos.mkdir()
    made = set()
    for folder in ("in1k", "clothing"):
        for number, path in enumerate(sorted((TRAIN / folder).glob("*.jpg"))[:PHOTOS]):
            shutil.copy(path, photos / f"{folder}-{number}.jpg")
            if number < COPIED:
                copy = EDITS[number % len(EDITS)](decode_image(path.read_bytes()))
                name = f"copy-{folder}-{number}.jpg"
                (photos / name).write_bytes(encode(np.ascontiguousarray(copy), quality=80))
                made.add(frozenset((name, f"{folder}-{number}.jpg")))
    hashes = {name: read_model(shipped_model(name)).hash for name in PACKAGED}
    ruled = [name for name in PACKAGED if prospects_of(hashes[name])]
    for kind in ("promising", "all"):
        output = tmp_path / kind
        options = ("--compare", kind, "--model", ruled[-1], "--workers", 2, "--quiet")
        assert scan(photos, "--output", output, *options) == 0
    some, every = accepted(tmp_path / "promising"), accepted(tmp_path / "all")
    assert some <= every
    assert len(every - some) <= 1, "at most one in twenty is lost"
    assert len(made & some) >= 20
    quick, slow = summary(tmp_path / "promising"), summary(tmp_path / "all")
    assert quick["compared"] < 0.4 * slow["compared"]
    assert quick["compared"] + quick["skipped_as_hopeless"] >= slow["compared"]
