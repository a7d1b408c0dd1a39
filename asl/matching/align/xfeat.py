"""XFeat features: learned points and descriptors that outlive blur, pixelation and strong tones.

XFeat (Potje et al., CVPR 2024, https://arxiv.org/abs/2404.19174) is a small convolutional network.
``xfeat.onnx`` holds its trained weights without the fine matcher; ``scripts/export_xfeat.py`` wrote
it. ONNX Runtime runs it, without torch, on the thread of the caller.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from asl.matching.values import Gray, Image
from asl.types import F32, AslError

DESCRIPTOR_LENGTH = 64
_FILE = "xfeat.onnx"
_DIGEST = "6edeeac349b434c3bb3d911679dfa84494f57058e1f0f8934d68ecfae0a24e76"
_FEATURES = 512  # at most, of the highest score
_CELL = 8  # pixels of a cell: one descriptor, 64 places for a point
_STRIDE = 32  # both sides of what the network sees are multiples of this
_LEAST = 64  # pixels, least side of what the network sees
_MIN_SIDE = 32  # pixels; a smaller image has no learned feature
_MIN_SCORE = 0.05  # of a point, before its reliability counts
_PEAK_SIDE = 5  # pixels, side of the window in which a point has the highest score
_OUTPUTS = ("descriptors", "points", "reliability")


class LearnedFeatures(NamedTuple):
    """K learned features of one image, most reliable first.

    Attributes:
        points: float32 ``[K, 2]`` x, y in pixels.
        descriptors: float32 ``[K, 64]``, unit rows: a product of two is a cosine. Their values are
            those of half precision, in which they are stored.
    """

    points: F32
    descriptors: F32


def detect_xfeat(image: Image) -> LearnedFeatures:
    """Detect and describe learned features.

    Args:
        image: uint8 ``[h, w, 3]`` RGB.

    Returns:
        At most 512 features; none for images below 32 pixels a side.

    Raises:
        AslError: the packaged network is missing or damaged.
    """
    height, width = image.shape[:2]
    if min(height, width) < _MIN_SIDE:
        return LearnedFeatures(
            np.empty((0, 2), np.float32), np.empty((0, DESCRIPTOR_LENGTH), np.float32)
        )
    picture = _network_input(image)
    described, points, reliability = _run(picture, _to_cells(picture))
    places, scores = _peaks(_heat_map(points), reliability[0])
    kept = np.argsort(-scores, kind="stable")[:_FEATURES]
    places = places[kept]
    scale = np.array([width / picture.shape[1], height / picture.shape[0]], dtype=np.float32)
    vectors = _sample(_unit(described), places, picture.shape)
    return LearnedFeatures(places * scale, _unit(vectors).astype(np.float16).astype(np.float32))


def _run(picture: Gray, cells: F32) -> tuple[F32, F32, F32]:
    """Run the network on an image of ``h x w`` pixels and its cells.

    Returns:
        Descriptors ``[64, h / 8, w / 8]``, logits of points ``[65, h / 8, w / 8]``, reliability
        ``[1, h / 8, w / 8]``.
    """
    described, points, reliability = _network().run(
        _OUTPUTS, {"image": picture[None, None], "cells": cells[None]}
    )
    return described[0], points[0], reliability[0]


@cache
def _network() -> Any:
    """Open the network, once a process; any number of threads may run it at a time."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # callers share out the cores
    options.log_severity_level = 3  # errors
    return onnxruntime.InferenceSession(network_file(), options, providers=["CPUExecutionProvider"])


def network_file() -> bytes:
    """Return the bytes of the packaged network (ONNX).

    Raises:
        AslError: it is missing or damaged.
    """
    try:
        data = files(__package__).joinpath(_FILE).read_bytes()
    except OSError as error:
        raise AslError(f"{_FILE}: cannot be read ({error.strerror}); reinstall asl") from error
    if hashlib.sha256(data).hexdigest() != _DIGEST:
        raise AslError(f"{_FILE}: damaged (its checksum differs); reinstall asl")
    return data


def _network_input(image: Image) -> Gray:
    """Scale to multiples of 32 pixels; mean of the colours, zero mean and unit variance."""
    sides = [max(_LEAST, round(side / _STRIDE) * _STRIDE) for side in image.shape[1::-1]]
    colours = cv2.resize(image, sides, interpolation=cv2.INTER_LINEAR).astype(np.uint16)
    total = colours[..., 0] + colours[..., 1] + colours[..., 2]
    picture = total.astype(np.float32) / np.float32(3)
    picture /= 255.0
    spread = np.sqrt(picture.var() + 1e-5)
    return np.ascontiguousarray((picture - picture.mean()) / spread, dtype=np.float32)


def _to_cells(picture: Gray) -> F32:
    """Pixels of every cell as channels: ``[h, w]`` -> ``[64, h / 8, w / 8]``."""
    height, width = picture.shape
    blocks = picture.reshape(height // _CELL, _CELL, width // _CELL, _CELL)
    return np.ascontiguousarray(
        blocks.transpose(1, 3, 0, 2).reshape(_CELL * _CELL, height // _CELL, width // _CELL)
    )


def _heat_map(logits: F32) -> Gray:
    """Probability of a point at every pixel from ``[65, h / 8, w / 8]``; the last is *none*."""
    shares = np.exp(logits - logits.max(axis=0))
    shares /= shares.sum(axis=0)
    rows, columns = logits.shape[1:]
    blocks = shares[:-1].reshape(_CELL, _CELL, rows, columns)
    return np.ascontiguousarray(blocks.transpose(2, 0, 3, 1).reshape(rows * _CELL, columns * _CELL))


def _peaks(heat: Gray, reliability: Gray) -> tuple[F32, F32]:
    """Places (x, y) of the local maxima and their scores."""
    window = np.ones((_PEAK_SIDE, _PEAK_SIDE), dtype=np.uint8)
    rows, columns = np.nonzero((heat == cv2.dilate(heat, window)) & (heat > _MIN_SCORE))
    places = np.column_stack([columns, rows]).astype(np.float32)
    return places, heat[rows, columns] * _sample(reliability[None], places, heat.shape)[:, 0]


def _sample(channels: F32, places: F32, shape: tuple[int, int]) -> F32:
    """Sample ``[C, r, c]`` bilinearly at pixels of an image of ``shape``: ``[K, C]``."""
    rows, columns = channels.shape[1:]
    x = np.clip(places[:, 0] * (columns / (shape[1] - 1)) - 0.5, 0, columns - 1)
    y = np.clip(places[:, 1] * (rows / (shape[0] - 1)) - 0.5, 0, rows - 1)
    left = np.minimum(x.astype(np.intp), max(columns - 2, 0))
    top = np.minimum(y.astype(np.intp), max(rows - 2, 0))
    right, bottom = np.minimum(left + 1, columns - 1), np.minimum(top + 1, rows - 1)
    across, down = (x - left).astype(np.float32), (y - top).astype(np.float32)
    upper = channels[:, top, left] * (1 - across) + channels[:, top, right] * across
    lower = channels[:, bottom, left] * (1 - across) + channels[:, bottom, right] * across
    return np.ascontiguousarray((upper * (1 - down) + lower * down).T)


def _unit(vectors: npt.NDArray[np.float32]) -> F32:
    """Scale to unit length: rows of ``[K, 64]``, or the channels of ``[64, h, w]``."""
    axis = 1 if vectors.ndim == 2 else 0
    norms = np.sqrt((vectors * vectors).sum(axis=axis, keepdims=True))
    return np.asarray(vectors / np.maximum(norms, 1e-12), dtype=np.float32)
