"""The disk cache: what was stored comes back, damaged files and other keys miss."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from asl.matching import Settings
from asl.matching.align.prepare import prepare
from asl.matching.run.disk_cache import Cache
from tests.matching.conftest import Image


def test_a_damaged_cache_file_is_written_anew(tmp_path: Path, picture: Image) -> None:
    cache, prepared = Cache(tmp_path, Settings()), prepare(picture, Settings())
    assert cache.get("reference", "a") is None
    cache.put("reference", "a", prepared)
    path = cache.path("reference", "a")
    whole = path.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], b"x" * 300):
        path.write_bytes(damaged)
        assert cache.get("reference", "a") is None
    cache.put("reference", "a", prepared)
    again = cache.get("reference", "a")
    assert again is not None
    np.testing.assert_array_equal(again.descriptors, prepared.descriptors)
    np.testing.assert_array_equal(again.points, prepared.points)
    assert Cache(tmp_path, Settings(size=256)).get("reference", "a") is None
    assert Cache(tmp_path, Settings(), "other").get("reference", "a") is None


def test_everything_comes_back_as_it_was_stored(tmp_path: Path, picture: Image) -> None:
    cache, prepared = Cache(tmp_path / "deep" / "cache", Settings()), prepare(picture, Settings())
    plain = prepare(np.zeros((20, 30, 3), np.uint8), Settings())
    for name, stored in (("a", prepared), ("plain", plain)):
        cache.put("query", name, stored)
        again = cache.get("query", name)
        assert again is not None
        for field in ("image", "points", "scales", "angles", "descriptors"):
            before, after = getattr(stored, field), getattr(again, field)
            assert before.dtype == after.dtype
            np.testing.assert_array_equal(before, after)
        assert again.stored is not None
        for before, after in zip(stored.learned, again.learned, strict=True):
            assert before.dtype == after.dtype
            np.testing.assert_array_equal(before, after)
    assert len(plain.points) == 0


def test_the_key_holds_all_that_the_prepared_image_depends_on(tmp_path: Path) -> None:
    cache = Cache(tmp_path, Settings())
    path = cache.path("query", "a")
    assert path.parent.parent == tmp_path
    same = Cache(tmp_path, Settings(ratio=0.7, tolerance=5, regions=1, mirrored=False))
    assert same.path("query", "a") == path, "the alignment alone depends on these"
    others = [
        cache.path("reference", "a"),
        cache.path("query", "b"),
        cache.path("query", "../a"),
        Cache(tmp_path, Settings(size=256)).path("query", "a"),
        Cache(tmp_path, Settings(features=400)).path("query", "a"),
        Cache(tmp_path, Settings(), "photos").path("query", "a"),
    ]
    assert len({path, *others}) == 7
    assert all(other.parent.parent == tmp_path for other in others)


def test_arrays_of_other_shapes_are_not_taken(tmp_path: Path, picture: Image) -> None:
    cache, prepared = Cache(tmp_path, Settings()), prepare(picture, Settings())
    cache.put("query", "a", prepared)
    path = cache.path("query", "a")
    stored = dict(np.load(path))
    for name, bad in (
        ("frames", stored["frames"][:-1]),
        ("descriptors", stored["descriptors"][:, :64]),
        ("image", stored["image"][..., 0]),
        ("learned_points", stored["learned_points"][:-1]),
        ("learned_descriptors", stored["learned_descriptors"][:, :32]),
    ):
        np.savez(path, **{**stored, name: bad})
        assert cache.get("query", "a") is None
    np.savez(path, **stored)
    assert cache.get("query", "a") is not None
