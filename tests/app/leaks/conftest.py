from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from asl.app.leaks.find_leaks import Leaks, find_leaks
from asl.app.leaks.splits import read_splits
from asl.console.progress import no_bar
from asl.console.schemas.scan_config import ScanConfig
from tests.app.conftest import crop, encode, textured


def write_sets(folder: Path) -> Path:
    """A train and a test folder with a leak of every kind but frames, and a broken image."""
    for split in ("train", "test"):
        (folder / split).mkdir(parents=True)
    for seed in range(6):
        (folder / "train" / f"p{seed}.jpg").write_bytes(encode(textured(seed), quality=95))
    for seed in (20, 21):
        (folder / "test" / f"q{seed}.jpg").write_bytes(encode(textured(seed), quality=95))
    shutil.copy(folder / "train" / "p0.jpg", folder / "train" / "p0 (1).jpg")
    shutil.copy(folder / "train" / "p0.jpg", folder / "test" / "same.jpg")
    from PIL import Image

    with Image.open(folder / "train" / "p1.jpg") as image:
        image.save(folder / "test" / "pixels.png")
    (folder / "test" / "small.jpg").write_bytes(encode(textured(2)[::2, ::2].copy(), quality=80))
    (folder / "test" / "cut.jpg").write_bytes(encode(crop(textured(3)), quality=90))
    (folder / "test" / "broken.jpg").write_bytes(encode(textured(9))[:3000])
    return folder


def write_tar(path: Path, files: list[Path]) -> Path:
    """A WebDataset shard of some files."""
    with tarfile.open(path, "w") as archive:
        for file in files:
            archive.add(file, arcname=file.name)
    return path


def write_hub_table(path: Path, files: list[Path]) -> Path:
    """A Parquet table as the hub writes it."""
    images = [{"bytes": file.read_bytes(), "path": file.name} for file in files]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"image": images, "label": [0] * len(images)}), path, row_group_size=2)
    return path


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sets(tmp_path_factory.mktemp("sets"))


@pytest.fixture(scope="module")
def leaks(sets: Path) -> Leaks:
    splits = read_splits([sets / "train", sets / "test"], column=None, chosen=[])
    options = ScanConfig(photos=sets, output=sets / "out", workers=1)
    return find_leaks(splits, options, same_moment=True, bar=no_bar)
