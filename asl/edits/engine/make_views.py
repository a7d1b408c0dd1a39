"""Several views of one image, always the same for the same seed, key and number of the view."""

from __future__ import annotations

import hashlib
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from asl.edits.engine.edit_base import Edit, Rng
from asl.edits.engine.foreign_images import Pool
from asl.edits.engine.trace import Points, need, pixel_grid, resize_matrix, transform
from asl.edits.engine.view import Pixels, View
from asl.types import AslError

_SAMPLES = 4  # points a side of a patch whose place in the other view is looked up
_FINE = 8  # the same of a view with a dense map, among which the nearest is sought


def view_rng(*, key: str, seed: int, number: int) -> Rng:
    """The random numbers of one view: they depend on nothing but these three."""
    digest = hashlib.blake2b(
        f"{seed}\0{key}\0{number}".encode("utf-8", "surrogateescape"), digest_size=16
    ).digest()
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

    Both are cut into ``grid`` x ``grid`` patches. Entry (i, j) is the share of patch i of the first
    whose pixels of the original lie inside patch j of the second (CopyNCE's overlap, arXiv
    2602.17484).

    Args:
        first: a view.
        second: another view of the same original.
        grid: patches a side.

    Returns:
        float32 ``[grid * grid, grid * grid]``, rows sum to at most 1.
    """
    if first.source_size != second.source_size:
        raise AslError(
            f"overlap: views of originals of {first.source_size} and {second.source_size} pixels"
        )
    where = _patch_points(first, grid, _SAMPLES).reshape(grid * grid, _SAMPLES**2, 2)
    target = (_patch_by_matrix if second.trace.matrix is not None else _patch_by_nearest)(
        second, where, grid
    )
    result = np.zeros((grid * grid, grid * grid + 1), np.float32)
    np.add.at(result, (np.arange(grid * grid)[:, None], target), 1.0 / _SAMPLES**2)
    return np.ascontiguousarray(result[:, :-1])


def _patch_points(view: View, grid: int, samples: int) -> Points:
    """``[G * G, samples, samples, 2]`` original positions of points inside every patch, NaN where foreign."""
    side = grid * samples
    there = view.trace.at(
        transform(resize_matrix(view.size, (side, side)), pixel_grid((side, side)))
    )
    cells = there.reshape(grid, samples, grid, samples, 2).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(cells.reshape(grid * grid, samples, samples, 2))


def _patch_by_matrix(view: View, where: Points, grid: int) -> npt.NDArray[np.intp]:
    """``[...]`` which patch of a projective view shows the original's ``where`` (``[..., 2]``), -1 where none does."""
    trace = view.trace
    there = transform(np.asarray(np.linalg.inv(need(trace.matrix)), np.float64), where)
    size = view.size[::-1]
    inside = ((there >= -0.5) & (there < np.array(size) - 0.5)).all(axis=-1)  # NaN is not
    x, y = (np.where(inside, side + 0.5, 0) for side in (there[..., 0], there[..., 1]))
    if trace.mask is not None:
        inside &= trace.mask[y.astype(np.intp), x.astype(np.intp)] > 0
    column, row = (
        (side * grid / length).astype(np.intp) for side, length in zip((x, y), size, strict=True)
    )
    return np.where(inside, row * grid + column, -1)


def _patch_by_nearest(view: View, where: Points, grid: int) -> npt.NDArray[np.intp]:
    """The same for any view: the patch of the nearest of its points, where one is as near as they are to another."""
    points = _patch_points(view, grid, _FINE)
    seen = np.isfinite(points[..., 0])
    known = np.isfinite(where[..., 0])
    result = np.full(where.shape[:-1], -1, np.intp)
    if not known.any() or not seen.any():
        return result
    # A lattice's own step; along the longer axis, since a view may be squeezed.
    steps = [np.linalg.norm(np.diff(points, axis=axis), axis=-1) for axis in (1, 2)]
    reach = max(float(np.nanmedian(step)) if np.isfinite(step).any() else 0.0 for step in steps)
    tree = KDTree(points[seen], balanced_tree=False, compact_nodes=False)
    _, nearest = tree.query(where[known], distance_upper_bound=reach)
    patch = np.append(np.nonzero(seen)[0], -1)  # one past the last: nothing is near enough
    result[known] = patch[nearest]
    return result
