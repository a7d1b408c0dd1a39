"""The pool of foreign images: even draws, unreadable images skipped, noise as the last resort."""

from __future__ import annotations

import numpy as np
import pytest

from asl.edits.engine.foreign_images import Pool
from asl.types import AslError


class Catalog:
    """Rows of one byte each: their own number."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.read_rows: list[int] = []

    def __len__(self) -> int:
        return self.count

    def read(self, row: int) -> bytes:
        self.read_rows.append(row)
        return bytes([row])


def decode_even(data: bytes) -> np.ndarray:
    if data[0] % 2:
        raise AslError("no image data")
    return np.full((2, 3, 3), data[0], np.uint8)


def decode_nothing(data: bytes) -> np.ndarray:
    raise OSError(f"{len(data)} bytes")


def test_every_image_is_drawn_alike_and_again_with_the_same_seed() -> None:
    images = [np.full((2, 2, 3), level, np.uint8) for level in range(4)]
    pool = Pool(images)
    assert len(pool) == 4
    rng = np.random.default_rng(0)
    drawn = [int(pool.draw(rng)[0, 0, 0]) for _ in range(2000)]
    counts = np.bincount(drawn, minlength=4)
    assert counts.min() > 400
    rng = np.random.default_rng(0)
    assert [int(pool.draw(rng)[0, 0, 0]) for _ in range(2000)] == drawn


def test_unreadable_rows_of_a_catalog_are_skipped() -> None:
    catalog = Catalog(6)
    pool, rng = Pool(catalog, decode=decode_even), np.random.default_rng(1)
    drawn = [int(pool.draw(rng)[0, 0, 0]) for _ in range(60)]
    assert set(drawn) == {0, 2, 4}
    assert [row for row in catalog.read_rows if row % 2 == 0] == drawn


def test_noise_follows_eight_unreadable_images() -> None:
    catalog = Catalog(5)
    image = Pool(catalog, decode=decode_nothing).draw(np.random.default_rng(2))
    assert len(catalog.read_rows) == 8
    assert (image.shape, image.dtype) == ((64, 64, 3), np.uint8)
    assert image.std() > 60


def test_refusals() -> None:
    with pytest.raises(AslError, match="pool: empty"):
        Pool([])
    with pytest.raises(AslError, match=r"pass asl\.data\.images\.decode_image"):
        Pool(Catalog(3))
