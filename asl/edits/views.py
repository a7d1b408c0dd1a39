"""Several views of one image, always the same for the same seed, key and number of the view."""

from __future__ import annotations

import hashlib
from typing import Literal

import numpy as np
import numpy.typing as npt

from asl.edits.edit import Edit, Rng
from asl.edits.pool import Pool
from asl.edits.trace import resize_matrix, transform
from asl.edits.view import Pixels, View
from asl.types import AslError


def view_rng(*, key: str, seed: int, number: int) -> Rng:
    """The random numbers of one view: they depend on nothing but these three."""
    digest = hashlib.blake2b(f"{seed}\0{key}\0{number}".encode("utf-8", "surrogateescape"), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "little"))


def make_views(
    image: Pixels,
    recipe: Edit,
    *,
    key: str,
    seed: int,
    views: int,
    size: int,
    pool: Pool | None = None,
    first: Literal["original", "edited"] = "original",
) -> list[View]:
    """Make square views of an image.

    Args:
        image: uint8 ``[H, W, 3]`` RGB.
        recipe: the edit; a recipe of several for stronger ones.
        key: names the image (and the epoch, where views should differ between epochs).
        seed: of the run.
        views: how many.
        size: pixels of their side; aspect is squashed, as at extraction.
        pool: foreign images for overlays.
        first: whether view 0 is the un-edited image.

    Returns:
        ``views`` views of ``size`` x ``size``.
    """
    if views < 1 or size < 16:
        raise AslError(f"views: needs at least 1 view of 16 pixels, got {views} of {size}")
    original = _original(image, size, pool)
    made = []
    for number in range(views):
        view = original
        if number or first == "edited":
            view = recipe(original, view_rng(key=key, seed=seed, number=number))
        made.append(view.resized(size, size))
    return made


def _original(image: Pixels, size: int, pool: Pool | None) -> View:
    """Edits run at up to twice the final size: a crop of a quarter stays sharp, and it is several times faster."""
    height, width = image.shape[:2]
    factor = min(1.0, 2.0 * size / max(1, min(height, width)))
    working = (max(2, round(height * factor)), max(2, round(width * factor)))
    return View.original(image, foreign=pool, working=working if factor < 1 else None, target=size)


def overlap(first: View, second: View, *, grid: int) -> npt.NDArray[np.float32]:
    """How much two views of one image share, patch by patch.

    Both are cut into ``grid`` x ``grid`` patches. Entry (i, j) is the share of patch i of the first whose pixels of
    the original lie inside patch j of the second (CopyNCE's overlap, arXiv 2602.17484).

    Args:
        first: a view.
        second: another view of the same original.
        grid: patches a side.

    Returns:
        float32 ``[grid * grid, grid * grid]``, rows sum to at most 1.
    """
    if first.source_size != second.source_size:
        raise AslError(f"overlap: views of originals of {first.source_size} and {second.source_size} pixels")
    samples = 4
    where = _patch_points(first, grid, samples)
    patch = _patch_of(second, grid)
    height, width = first.source_size
    cells = patch.shape[0]
    inside = np.isfinite(where[..., 0])
    columns = np.clip((np.nan_to_num(where[..., 0]) + 0.5) / width * cells, 0, cells - 1).astype(np.intp)
    rows = np.clip((np.nan_to_num(where[..., 1]) + 0.5) / height * cells, 0, cells - 1).astype(np.intp)
    target = np.where(inside, patch[rows, columns], -1)
    result = np.zeros((grid * grid, grid * grid + 1), np.float32)
    np.add.at(result, (np.arange(grid * grid)[:, None], target), 1.0 / samples**2)
    return np.ascontiguousarray(result[:, :-1])


def _patch_points(view: View, grid: int, samples: int) -> npt.NDArray[np.float32]:
    """``[G * G, samples^2, 2]`` original positions of points inside every patch."""
    side = grid * samples
    points = np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1).astype(np.float32)
    there = view.trace.at(transform(resize_matrix(view.size, (side, side)), points))
    cells = there.reshape(grid, samples, grid, samples, 2).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(cells.reshape(grid * grid, samples * samples, 2))


def _patch_of(view: View, grid: int) -> npt.NDArray[np.int64]:
    """``[C, C]`` over cells of the original: which patch of the view shows the cell, -1 where none does."""
    cells = 64
    dense = view.trace.at(
        np.stack(np.meshgrid(np.arange(view.size[1]), np.arange(view.size[0])), -1).astype(np.float32)
    )
    height, width = view.source_size
    rows, columns = np.nonzero(np.isfinite(dense[..., 0]))
    points = dense[rows, columns]
    x = np.clip((points[:, 0] + 0.5) / width * cells, 0, cells - 1).astype(np.intp)
    y = np.clip((points[:, 1] + 0.5) / height * cells, 0, cells - 1).astype(np.intp)
    patch = (rows * grid // view.size[0]) * grid + columns * grid // view.size[1]
    found = np.full((cells, cells), -1, dtype=np.int64)
    found[y, x] = patch
    return _fill(found)


def _fill(found: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Give single empty cells the patch of a filled neighbour: a small view has fewer pixels than there are cells."""
    result = found.copy()
    for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1)):
        neighbour = np.roll(found, step, axis=axis)
        result = np.where((result < 0) & (neighbour >= 0), neighbour, result)
    return result
