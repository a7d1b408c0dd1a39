"""Create views of one image, reproducible by seed, key and number of the view."""

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
from asl.types import F32, AslError

_SAMPLES = 4  # points a side of a patch whose position in the other view is computed
_DENSE_SAMPLES = 8  # the same of a view with a dense map, searched for the nearest point


def view_rng(*, key: str, seed: int, number: int) -> Rng:
    """Seed the random numbers of one view; they depend on these three only."""
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
        recipe: the edit, or a combination of edits.
        key: identifies the image (and the epoch, where views should differ between epochs).
        seed: of the run.
        views: number of views.
        size: pixels of their side; the aspect ratio is not kept, as at extraction.
        pool: foreign images for overlays.
        first: ``original`` for an unedited view 0, ``edited`` to edit it like the others.

    Returns:
        ``views`` views of ``size`` x ``size`` pixels.

    Raises:
        AslError: no view, or fewer than 16 pixels.
    """
    if views < 1 or size < 16:
        raise AslError(f"views: expected at least 1 view of 16 pixels, got {views} of {size}")
    original = _original(image, size, pool)
    created = []
    for number in range(views):
        view = original
        if number or first == "edited":
            view = recipe(original, view_rng(key=key, seed=seed, number=number))
        created.append(view.resized(size, size))
    return created


def _original(image: Pixels, size: int, pool: Pool | None) -> View:
    """Create the original at twice the final size at most.

    A crop of a quarter stays sharp, and edits are several times faster than at full size.
    """
    height, width = image.shape[:2]
    factor = min(1.0, 2.0 * size / max(1, min(height, width)))
    working = (max(2, round(height * factor)), max(2, round(width * factor)))
    return View.original(image, foreign=pool, working=working if factor < 1 else None, target=size)


def overlap(first: View, second: View, *, grid: int) -> F32:
    """Compute the overlap of two views of one image, patch by patch.

    Both are cut into ``grid`` x ``grid`` patches. Entry (i, j) is the share of patch i of the first
    whose original pixels are inside patch j of the second (CopyNCE's overlap, arXiv 2602.17484).

    Args:
        first: a view.
        second: another view of the same original.
        grid: patches a side.

    Returns:
        float32 ``[grid * grid, grid * grid]``, rows sum to at most 1.
    """
    if first.source_size != second.source_size:
        raise AslError(
            "overlap: expected views of one original, got originals of "
            f"{first.source_size} and {second.source_size} pixels"
        )
    positions = _patch_points(first, grid, _SAMPLES).reshape(grid * grid, _SAMPLES**2, 2)
    target = (_patch_by_matrix if second.trace.matrix is not None else _patch_by_nearest)(
        second, positions, grid
    )
    result = np.zeros((grid * grid, grid * grid + 1), np.float32)
    np.add.at(result, (np.arange(grid * grid)[:, None], target), 1.0 / _SAMPLES**2)
    return np.ascontiguousarray(result[:, :-1])


def _patch_points(view: View, grid: int, samples: int) -> Points:
    """Original positions of points inside every patch, NaN where foreign.

    Returns:
        float32 ``[grid * grid, samples, samples, 2]``.
    """
    side = grid * samples
    positions = view.trace.at(
        transform(resize_matrix(view.size, (side, side)), pixel_grid((side, side)))
    )
    cells = positions.reshape(grid, samples, grid, samples, 2).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(cells.reshape(grid * grid, samples, samples, 2))


def _patch_by_matrix(view: View, positions: Points, grid: int) -> npt.NDArray[np.intp]:
    """Patch of a projective view that shows each original position, -1 where no patch does.

    Args:
        view: with a projective trace.
        positions: float32 ``[..., 2]`` x, y in the original.
        grid: patches a side.
    """
    trace = view.trace
    in_view = transform(np.asarray(np.linalg.inv(need(trace.matrix)), np.float64), positions)
    size = view.size[::-1]
    # Comparisons with NaN are false, so foreign positions are not inside.
    inside = ((in_view >= -0.5) & (in_view < np.array(size) - 0.5)).all(axis=-1)
    x, y = (np.where(inside, axis + 0.5, 0) for axis in (in_view[..., 0], in_view[..., 1]))
    if trace.mask is not None:
        inside &= trace.mask[y.astype(np.intp), x.astype(np.intp)] > 0
    column, row = (
        (side * grid / length).astype(np.intp) for side, length in zip((x, y), size, strict=True)
    )
    return np.where(inside, row * grid + column, -1)


def _patch_by_nearest(view: View, positions: Points, grid: int) -> npt.NDArray[np.intp]:
    """Patch of any view that shows each original position: that of its nearest point.

    Positions farther from every point than the points are from each other get -1.
    """
    points = _patch_points(view, grid, _DENSE_SAMPLES)
    seen = np.isfinite(points[..., 0])
    known = np.isfinite(positions[..., 0])
    result = np.full(positions.shape[:-1], -1, np.intp)
    if not known.any() or not seen.any():
        return result
    # Step of the lattice along its longer axis, since a view may be squeezed.
    steps = [np.linalg.norm(np.diff(points, axis=axis), axis=-1) for axis in (1, 2)]
    reach = max(float(np.nanmedian(step)) if np.isfinite(step).any() else 0.0 for step in steps)
    tree = KDTree(points[seen], balanced_tree=False, compact_nodes=False)
    _, nearest = tree.query(positions[known], distance_upper_bound=reach)
    patch = np.append(np.nonzero(seen)[0], -1)  # index past the last point: none is near enough
    result[known] = patch[nearest]
    return result
