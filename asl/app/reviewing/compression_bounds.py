"""Tell a JPEG that was saved again from another shot by the coefficients of its own compression.

A JPEG that was made from a picture of the same size differs from it, coefficient by coefficient, by
half a step of its quantisation table at most (ITU-T T.81, A.3.4). The grain of another shot does
not keep to that.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, UnidentifiedImageError

from asl.types import F32, U8

ROUNDING = 1.0  # levels that whole numbers in the pixels of both pictures may add
MOST_STEP = 12.0  # median step above which the steps are too wide to tell
LEAST_BLOCKS = 60
MOST_BLOCKS = 20_000
_ORIENTATION = 0x0112  # EXIF
_LIGHT = np.array([0.299, 0.587, 0.114], np.float32)
_SIDE = 8
_LOW = np.add.outer(np.arange(_SIDE), np.arange(_SIDE)) <= 5  # whose steps are narrow


def share_within_steps(data: bytes, going: U8, staying: U8) -> float | None:
    """Return the share of coefficients that differ by half a step at most.

    Args:
        data: the file whose pixels are ``going``.
        going: uint8 ``[H, W, 3]`` RGB.
        staying: uint8 ``[H, W, 3]`` RGB.

    Returns:
        0..1; nearly 1 where the file was made from ``staying`` by compression, and perhaps another
        brightness. None where that cannot be told: no JPEG, another size, a turned or a strongly
        compressed file, or a plain one.
    """
    steps = _steps(data)
    if steps is None or going.shape != staying.shape:
        return None
    if float(np.median(steps[_LOW])) > MOST_STEP:
        return None
    after, before = (_blocks(image @ _LIGHT) for image in (going, staying))
    darkest, lightest = _blocks(going.min(axis=2)), _blocks(going.max(axis=2))
    chosen = np.flatnonzero((darkest.min(axis=(1, 2)) > 1) & (lightest.max(axis=(1, 2)) < 254))
    chosen = chosen[:: max(1, -(-len(chosen) // MOST_BLOCKS))]
    if len(chosen) < LEAST_BLOCKS:
        return None
    after, before = after[chosen], before[chosen]
    if float(before.std()) < ROUNDING:
        return None
    after, before = after - after.mean(), before - before.mean()
    slope = float((after * before).mean() / (before**2).mean())
    basis = _cosines()
    error = np.abs(basis @ (after - slope * before) @ basis.T)
    return float((error <= steps / 2 + ROUNDING)[:, _LOW].mean())


def _steps(data: bytes) -> F32 | None:
    """Quantisation steps of the brightness, ``[8, 8]``."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            tables = getattr(image, "quantization", None)
            turned = image.getexif().get(_ORIENTATION, 1) != 1
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
        return None
    if not tables or turned or len(tables[0]) != _SIDE**2:
        return None
    return np.array(tables[0], np.float32).reshape(_SIDE, _SIDE)


def _blocks(plane: U8 | F32) -> F32:
    """Cut ``[H, W]`` into blocks, float32 ``[n, 8, 8]``; an incomplete rim is left out."""
    rows, columns = plane.shape[0] // _SIDE, plane.shape[1] // _SIDE
    whole = plane[: rows * _SIDE, : columns * _SIDE].reshape(rows, _SIDE, columns, _SIDE)
    return np.ascontiguousarray(whole.swapaxes(1, 2).reshape(-1, _SIDE, _SIDE), np.float32)


def _cosines() -> F32:
    """Orthonormal basis of the discrete cosine transform (DCT-II), ``[8, 8]``."""
    place = np.arange(_SIDE)
    basis = np.cos(np.pi * np.outer(place, 2 * place + 1) / (2 * _SIDE)) * np.sqrt(2 / _SIDE)
    basis[0] /= np.sqrt(2)
    return np.asarray(basis, np.float32)
