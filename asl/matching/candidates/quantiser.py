"""Fixed quantiser of local features: a list of the inverted file and a short code for each.

Descriptors are projected on their principal axes, assigned to one of 65,536 cells of a tree of
centroids, and coded by the signs of rotated residuals (Jégou et al., "Hamming embedding and weak
geometric consistency", ECCV 2008, section 3). The distance of a query from a code is estimated from
its unquantised residual (Gao & Long, "RaBitQ", SIGMOD 2024, section 3.1).

The quantiser comes with the package and learns nothing from the images that are indexed, so that
indexes which were built apart can be joined. Everything is a sum of integers below 2^24, which
float32 adds exactly in any order: equal descriptors have equal codes on every machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from safetensors import safe_open
from safetensors.numpy import save

from asl.storage import read_errors, write_bytes
from asl.types import F32, I64, U8

FILE = "sift_quantiser.safetensors"
ROOTS = 8  # roots of the tree whose leaves are compared for a feature
_BLOCK = 512  # features whose distances from many leaves are in memory at once
_LARGEST_SHORT = 2.0**31
_LARGEST_FILE = 64 << 20  # bytes
_REMEDY = "reinstall asl"
# Arrays of the file: all are integers, most of them in -127..127.
_INTEGERS = {
    "mean": np.int16,
    "axes": np.int8,
    "roots": np.int8,
    "leaves": np.int8,
    "rotation": np.int8,
}


class Codes(NamedTuple):
    """Lists and codes of N features.

    Attributes:
        lists: int64 ``[N]`` list of each feature.
        bits: uint8 ``[N, b / 8]`` signs of the rotated residual.
        lengths: uint8 ``[N]`` length of the residual.
        fits: uint8 ``[N]`` cosine between the rotated residual and its signs, times 255.
    """

    lists: I64
    bits: U8
    lengths: U8
    fits: U8


class Probes(NamedTuple):
    """Lists to search for M query features, nearest first.

    Attributes:
        lists: int64 ``[M, P]``.
        distances: float32 ``[M, P]`` squared distances of the features from the centroids.
    """

    lists: I64
    distances: F32


@dataclass(frozen=True, eq=False)
class Quantiser:
    """Projection, tree of centroids and rotation; D components, d axes, b bits.

    Attributes:
        mean: float32 ``[D]`` integers, subtracted first.
        axes: float32 ``[D, d]`` integers in -127..127.
        unit: what a projection is divided by before it is rounded to -127..127.
        roots: float32 ``[A, d]`` integers in -127..127.
        leaves: float32 ``[A, B, d]`` integers in -127..127; list ``a * B + b`` is leaf b of root a.
        rotation: float32 ``[d, b]`` integers in -127..127.
        card: origin, training photographs and licence.
        id: SHA-256 of the arrays: codes of equal ids can be compared.
    """

    mean: F32
    axes: F32
    unit: float
    roots: F32
    leaves: F32
    rotation: F32
    card: str
    id: str = ""

    @property
    def dim(self) -> int:
        """Components of a descriptor, D."""
        return len(self.axes)

    @property
    def lists(self) -> int:
        """Number of lists, A · B."""
        return int(self.leaves.shape[0] * self.leaves.shape[1])

    @property
    def code_bytes(self) -> int:
        """Bytes of the signs of one feature."""
        return int(self.rotation.shape[1] // 8)

    @cached_property
    def gain(self) -> float:
        """Factor by which the rotation lengthens a vector, on average."""
        square = np.einsum("db,db->", self.rotation, self.rotation, dtype=np.float64)
        return float(np.sqrt(square / len(self.rotation)))

    @cached_property
    def centroids(self) -> F32:
        """Leaves as rows, float32 ``[A · B, d]``."""
        return self.leaves.reshape(self.lists, -1)

    @cached_property
    def _root_norms(self) -> F32:
        return np.asarray(np.einsum("ad,ad->a", self.roots, self.roots), dtype=np.float32)

    @cached_property
    def _doubled_roots(self) -> F32:
        return np.ascontiguousarray(2.0 * self.roots.T, dtype=np.float32)

    @cached_property
    def _leaf_norms(self) -> F32:
        return np.asarray(np.einsum("abd,abd->ab", self.leaves, self.leaves), dtype=np.float32)

    @cached_property
    def _doubled_leaves(self) -> F32:
        return np.ascontiguousarray(2.0 * self.leaves.transpose(0, 2, 1), dtype=np.float32)

    def project(self, descriptors: U8) -> F32:
        """Project descriptors ``[N, D]`` on the axes: float32 ``[N, d]``, integers."""
        rows = descriptors.astype(np.float32) - self.mean
        return np.clip(np.rint(rows @ self.axes / np.float32(self.unit)), -127, 127)

    def probe(self, projected: F32, count: int) -> Probes:
        """Return the nearest lists of projected features among the leaves of the nearest roots.

        Args:
            projected: float32 ``[M, d]``.
            count: lists per feature, P.
        """
        roots = min(ROOTS, len(self.roots))
        count = min(count, roots * self.leaves.shape[1])
        parts = [
            self._probe_block(projected[start : start + _BLOCK], count, roots)
            for start in range(0, len(projected), _BLOCK)
        ]
        if not parts:
            return Probes(np.empty((0, count), np.int64), np.empty((0, count), np.float32))
        return Probes(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def _probe_block(self, projected: F32, count: int, roots: int) -> tuple[I64, F32]:
        width = self.leaves.shape[1]
        distances = np.empty((len(projected), roots, width), dtype=np.float32)
        nearest = self._nearest_roots(projected, roots)
        for feature, slot, values in self._leaf_distances(projected, nearest):
            distances[feature, slot] = values
        cells = distances.reshape(len(projected), roots * width)
        best = _smallest(cells, count)
        norms = np.einsum("md,md->m", projected, projected)[:, None]
        return (
            np.take_along_axis(nearest, best // width, axis=1) * width + best % width,
            np.take_along_axis(cells, best, axis=1) + norms,
        )

    def _nearest_list(self, projected: F32) -> I64:
        """Return the nearest list of each feature, int64 ``[N]``: the first of :meth:`probe`."""
        nearest = self._nearest_roots(projected, min(ROOTS, len(self.roots)))
        distances = np.empty(nearest.shape, dtype=np.float32)
        leaves = np.empty(nearest.shape, dtype=np.int64)
        for feature, slot, values in self._leaf_distances(projected, nearest):
            leaf = values.argmin(axis=1)
            leaves[feature, slot] = leaf
            distances[feature, slot] = values[np.arange(len(leaf)), leaf]
        at = (np.arange(len(projected)), distances.argmin(axis=1))
        return np.asarray(nearest[at] * self.leaves.shape[1] + leaves[at], dtype=np.int64)

    def _nearest_roots(self, projected: F32, count: int) -> I64:
        nearest = np.empty((len(projected), count), dtype=np.int64)
        for start in range(0, len(projected), _BLOCK):
            part = slice(start, start + _BLOCK)
            values = projected[part] @ self._doubled_roots
            np.subtract(self._root_norms, values, out=values)
            nearest[part] = _smallest(values, count)
        return nearest

    def _leaf_distances(self, projected: F32, nearest: I64) -> Iterator[tuple[I64, I64, F32]]:
        """Yield, root by root, features, the root's place among their nearest roots, distances.

        Distances are float32 ``[features, B]`` from the root's leaves, less the feature's norm.
        """
        feature, slot = np.divmod(np.argsort(nearest, axis=None, kind="stable"), nearest.shape[1])
        bounds = np.searchsorted(nearest[feature, slot], np.arange(len(self.roots) + 1))
        for root in np.flatnonzero(np.diff(bounds)).tolist():
            part = slice(bounds[root], bounds[root + 1])
            values = projected[feature[part]] @ self._doubled_leaves[root]
            yield feature[part], slot[part], np.subtract(self._leaf_norms[root], values, out=values)

    def encode(self, descriptors: U8) -> Codes:
        """Quantise descriptors, uint8 ``[N, D]``."""
        projected = self.project(descriptors)
        return self.encode_in(self._nearest_list(projected), projected)

    def encode_in(self, lists: I64, projected: F32) -> Codes:
        """Code projected features ``[N, d]`` by their residuals in given lists, int64 ``[N]``."""
        residual = projected - self.centroids[lists]
        rotated = residual @ self.rotation
        length = np.sqrt(np.einsum("nd,nd->n", residual, residual))
        spread = np.sqrt(np.einsum("nb,nb->n", rotated, rotated, dtype=np.float64))
        fit = np.abs(rotated).sum(axis=1, dtype=np.float64) / np.maximum(
            spread * np.sqrt(rotated.shape[1]), 1.0
        )
        return Codes(
            lists,
            np.packbits(rotated > 0, axis=1),
            np.rint(np.minimum(length, 255)).astype(np.uint8),
            np.rint(fit * 255).astype(np.uint8),
        )


def _smallest(values: F32, count: int) -> I64:
    """Columns of the ``count`` smallest integers of each row, ascending; ties by column."""
    # Value and column in one number: numpy partitions numbers much faster than their places, and
    # short ones twice as fast.
    columns = 1 << int(values.shape[1] - 1).bit_length()
    fits = float(np.abs(values).max(initial=0)) < _LARGEST_SHORT / columns - 1
    packed = values.astype(np.int32 if fits else np.int64)
    np.multiply(packed, columns, out=packed)
    np.add(packed, np.arange(values.shape[1], dtype=packed.dtype), out=packed)
    packed.partition(count - 1, axis=1)
    return np.sort(packed[:, :count], axis=1).astype(np.int64) % columns


def load_quantiser(path: Path | None = None) -> Quantiser:
    """Read a quantiser; by default the packaged one, which is read once.

    Raises:
        ReadError: the file is missing or damaged.
    """
    return _packaged() if path is None else _read(path)


@cache
def _packaged() -> Quantiser:
    with as_file(files(__package__).joinpath(FILE)) as path:
        return _read(path)


def save_quantiser(path: Path, quantiser: Quantiser) -> None:
    """Write a quantiser with its card and checksum, atomically.

    Raises:
        WriteError: nothing may be written there.
    """
    arrays = {name: getattr(quantiser, name).astype(_INTEGERS[name]) for name in _INTEGERS}
    facts = {"unit": repr(quantiser.unit), "card": quantiser.card, "sha256": _digest(arrays)}
    write_bytes(path, save(arrays, metadata=facts))


def _read(path: Path) -> Quantiser:
    with read_errors(path, _REMEDY):
        if path.stat().st_size > _LARGEST_FILE:
            raise ValueError("too large for a quantiser")
        with safe_open(path, framework="numpy") as file:
            facts = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in _INTEGERS}
        digest = _digest(arrays)
        if facts.get("sha256") != digest:
            raise ValueError("its checksum differs")
        values = {name: array.astype(np.float32) for name, array in arrays.items()}
        quantiser = Quantiser(**values, unit=float(facts["unit"]), card=facts["card"], id=digest)
        _check_shapes(quantiser)
    return quantiser


def _check_shapes(quantiser: Quantiser) -> None:
    dim, axes = quantiser.axes.shape
    count, width, _ = quantiser.leaves.shape
    shapes = (
        (quantiser.mean.shape, (dim,)),
        (quantiser.roots.shape, (count, axes)),
        (quantiser.leaves.shape, (count, width, axes)),
        (quantiser.rotation.shape, (axes, quantiser.code_bytes * 8)),
    )
    for shape, expected in shapes:
        if shape != expected:
            raise ValueError(f"holds an array {shape}, expected {expected}")
    if quantiser.code_bytes % 8 or not quantiser.unit > 0:
        raise ValueError("codes are no whole words of 64 bits, or its unit is no positive number")


def _digest(arrays: dict[str, npt.NDArray[Any]]) -> str:
    """SHA-256 over names and values."""
    digest = hashlib.sha256()
    for name in _INTEGERS:
        digest.update(f"{name} {arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()
