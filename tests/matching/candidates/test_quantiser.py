"""Quantiser of local features: a slow loop as oracle, exact sums, its file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from asl.matching.candidates import quantiser as module
from asl.matching.candidates.feature_values import LocalFeatures
from asl.matching.candidates.quantiser import FILE, Quantiser, load_quantiser, save_quantiser
from asl.storage import ReadError

Draw = Callable[..., LocalFeatures]
ARRAYS = ("mean", "axes", "roots", "leaves", "rotation")


def test_codes_are_those_of_the_slow_loop(quantiser: Quantiser, draw: Draw) -> None:
    descriptors = draw(40).descriptors
    codes = quantiser.encode(descriptors)
    for number, row in enumerate(descriptors.astype(np.float64)):
        projected = np.clip(np.rint((row - quantiser.mean) @ quantiser.axes / 700.0), -127, 127)
        distances = [((projected - cell) ** 2).sum() for cell in quantiser.centroids]
        assert codes.lists[number] == np.argmin(distances)
        residual = projected - quantiser.centroids[codes.lists[number]]
        rotated = residual @ quantiser.rotation
        np.testing.assert_array_equal(np.unpackbits(codes.bits[number]), rotated > 0)
        assert abs(codes.lengths[number] - np.linalg.norm(residual)) <= 0.5
        cosine = np.abs(rotated).sum() / np.linalg.norm(rotated) / 8
        assert abs(codes.fits[number] / 255 - cosine) < 0.003


@pytest.mark.parametrize("largest", [2**10, 2**22, 2**23])
def test_the_smallest_of_a_row_are_those_of_a_stable_sort(largest: int) -> None:
    """Also of numbers that do not fit 32 bits together with their column, and of equal ones."""
    rng = np.random.default_rng(largest)
    values = rng.integers(-largest, largest, (40, 256)).astype(np.float32)
    values[:, ::7] = values[:, :1]
    expected = np.argsort(values, axis=1, kind="stable")[:, :9]
    np.testing.assert_array_equal(module._smallest(values, 9), expected)


def test_the_nearest_lists_come_first(quantiser: Quantiser, draw: Draw) -> None:
    projected = quantiser.project(draw(30).descriptors)
    lists, distances = quantiser.probe(projected, 7)
    every = ((projected[:, None] - quantiser.centroids) ** 2).sum(axis=2)
    np.testing.assert_array_equal(distances, np.sort(every, axis=1)[:, :7])
    np.testing.assert_array_equal(np.take_along_axis(every, lists, axis=1), distances)
    assert quantiser.probe(projected, 99).lists.shape == (30, 30), "there are 30 lists"
    assert quantiser.probe(projected[:0], 3).lists.shape == (0, 3)


def test_the_packaged_tree_is_searched_where_it_is_near(draw: Draw) -> None:
    packaged = load_quantiser()
    projected = packaged.project(draw(50, 128).descriptors)
    lists, distances = packaged.probe(projected, 5)
    norms = (packaged.centroids.astype(np.float64) ** 2).sum(axis=1)
    every = norms - 2 * projected.astype(np.float64) @ packaged.centroids.T
    every += (projected**2).sum(axis=1)[:, None]
    np.testing.assert_array_equal(np.take_along_axis(every, lists, axis=1), distances)
    # Eight of 256 roots are searched: most of the nearest lists are leaves of these.
    assert np.mean(distances[:, 0] == every.min(axis=1)) > 0.6


@pytest.mark.parametrize("block", [1, 7, 512])
def test_codes_do_not_depend_on_what_is_coded_together(
    draw: Draw, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    descriptors = draw(60, 128).descriptors
    packaged = load_quantiser()
    together = packaged.encode(descriptors)
    monkeypatch.setattr(module, "_BLOCK", block)
    order = np.random.default_rng(0).permutation(60)
    for mine, other in zip(packaged.encode(descriptors[order]), together, strict=True):
        np.testing.assert_array_equal(mine, other[order])


def test_sums_stay_where_float32_is_exact() -> None:
    packaged = load_quantiser()
    for name in ARRAYS:
        array = getattr(packaged, name)
        assert array.dtype == np.float32
        assert np.array_equal(array, np.rint(array)), f"{name} holds integers"
    components = np.maximum(packaged.mean, 255 - packaged.mean)
    assert (components @ np.abs(packaged.axes)).max() < 2**24
    assert (2 * 127 * np.abs(packaged.roots).sum(axis=1)).max() < 2**24
    assert (2 * 127 * np.abs(packaged.centroids).sum(axis=1)).max() < 2**24
    assert (254 * np.abs(packaged.rotation).sum(axis=0)).max() < 2**24


def test_the_packaged_file_is_small_and_says_where_it_comes_from() -> None:
    packaged = load_quantiser()
    assert (packaged.dim, packaged.lists, packaged.code_bytes) == (128, 65_536, 16)
    assert files(module.__package__).joinpath(FILE).stat().st_size < 5e6  # type: ignore[attr-defined]
    for word in ("Caltech-101", "CC BY 4.0", "CC0", "Licence: MIT"):
        assert word in packaged.card


def test_it_is_read_back_as_it_was_written(quantiser: Quantiser, tmp_path: Path) -> None:
    path = tmp_path / "q.safetensors"
    save_quantiser(path, quantiser)
    again = load_quantiser(path)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(again, name), getattr(quantiser, name))
    assert (again.unit, again.card) == (700.0, "drawn")
    save_quantiser(path, replace(quantiser, mean=quantiser.mean + 1))
    assert load_quantiser(path).id != again.id


def test_damaged_and_crafted_files_are_refused_in_one_line(
    quantiser: Quantiser, tmp_path: Path
) -> None:
    path = tmp_path / "q.safetensors"
    save_quantiser(path, quantiser)
    whole = path.read_bytes()
    changed = bytearray(whole)
    changed[-5] ^= 1
    for data in (bytes(changed), whole[:-40], whole[:6], b"", b"x" * 200):
        path.write_bytes(data)
        with pytest.raises(ReadError, match=r"q\.safetensors: damaged \(.*\); reinstall asl"):
            load_quantiser(path)
    for crafted in (
        replace(quantiser, mean=quantiser.mean[:-1]),
        replace(quantiser, roots=quantiser.roots[:, :-1]),
        replace(quantiser, rotation=quantiser.rotation[:, :-8]),
        replace(quantiser, unit=float("nan")),
    ):
        save_quantiser(path, crafted)
        with pytest.raises(ReadError, match="damaged"):
            load_quantiser(path)
