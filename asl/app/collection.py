"""Unit vectors of images that come and go, searched exactly by their cosine."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asl.index.engine import Engine
from asl.index.search import make_engine
from asl.types import F32, I64, AslError

_FIRST = 256  # rows of the first buffer


@dataclass(frozen=True, eq=False)
class View:
    """What a search sees: rows are only ever added behind it, so it stays as it is while others write.

    Attributes:
        keys: ``[N]`` and more, key of every row; rows from N on are not the view's.
        vectors: float32 ``[N, D]`` unit rows.
        log_norms: float32 ``[N]``.
        alive: bool ``[N]``.
    """

    keys: list[str]
    vectors: F32
    log_norms: F32
    alive: np.ndarray

    def __len__(self) -> int:
        return int(self.alive.sum())


class Collection:
    """Keys with features. One writer at a time, any number of readers; a reader never sees half a change."""

    def __init__(self, dim: int, *, engine: str | Engine = "auto") -> None:
        """Start empty, for features of ``dim`` dimensions."""
        self._engine = make_engine(engine) if isinstance(engine, str) else engine
        self._lock = threading.Lock()
        self._keys: list[str] = []
        self._row: dict[str, int] = {}
        self._vectors = np.empty((_FIRST, dim), dtype=np.float32)
        self._log_norms = np.empty(_FIRST, dtype=np.float32)
        self._alive = np.zeros(_FIRST, dtype=bool)

    def __len__(self) -> int:
        return len(self._row)

    def __contains__(self, key: str) -> bool:
        return key in self._row

    def add(self, keys: Sequence[str], features: F32) -> None:
        """Add or replace features (float32 ``[n, D]``, un-normalised)."""
        norms = np.linalg.norm(features.astype(np.float64), axis=1)
        if not np.all(np.isfinite(norms) & (norms > 0)):
            raise AslError("features: one has no direction (its length is 0 or not finite)")
        with self._lock:
            self._drop(keys)
            start, end = len(self._keys), len(self._keys) + len(keys)
            self._reserve(end)
            self._vectors[start:end] = features / norms[:, None]
            self._log_norms[start:end] = np.log(norms)
            self._alive[start:end] = True
            self._keys.extend(keys)  # views know how many of them are theirs
            self._row.update(zip(keys, range(start, end), strict=True))

    def remove(self, keys: Sequence[str]) -> int:
        """Take features away; unknown keys are no error. Returns how many there were."""
        with self._lock:
            count = self._drop(keys)
            if len(self._keys) > 2 * _FIRST and len(self._row) < len(self._keys) // 2:
                self._compact()
            return count

    def _drop(self, keys: Sequence[str]) -> int:
        rows = [self._row.pop(key) for key in dict.fromkeys(keys) if key in self._row]
        if rows:
            # A copy: views that were handed out keep theirs.
            self._alive = self._alive.copy()
            self._alive[rows] = False
        return len(rows)

    def _reserve(self, rows: int) -> None:
        if rows <= len(self._vectors):
            return
        size = max(rows, 2 * len(self._vectors))
        for name in ("_vectors", "_log_norms", "_alive"):
            old = getattr(self, name)
            new = np.zeros((size, *old.shape[1:]), dtype=old.dtype)
            new[: len(self._keys)] = old[: len(self._keys)]
            setattr(self, name, new)

    def _compact(self) -> None:
        rows = np.flatnonzero(self._alive[: len(self._keys)])
        self._keys = [self._keys[row] for row in rows.tolist()]
        self._vectors, self._log_norms = self._vectors[rows].copy(), self._log_norms[rows].copy()
        self._alive = np.ones(len(rows), dtype=bool)
        self._row = {key: row for row, key in enumerate(self._keys)}

    def view(self) -> View:
        """What is there now."""
        with self._lock:
            count = len(self._keys)
            return View(self._keys, self._vectors[:count], self._log_norms[:count], self._alive[:count])

    def nearest(self, vectors: F32, k: int) -> tuple[View, F32, I64]:
        """The k rows with the highest cosine to each of some unit vectors.

        Returns:
            The view that was searched, float32 ``[Q, k']`` cosines (falling) and int64 ``[Q, k']`` rows of it;
            row -1 with cosine -inf where there are fewer.
        """
        view = self.view()
        if not len(view) or not len(vectors):
            return view, np.full((len(vectors), 0), -np.inf, np.float32), np.empty((len(vectors), 0), np.int64)
        wide = k
        while True:
            wide = min(len(view.vectors), wide + 16)
            cosines, rows = self._engine.top(np.ascontiguousarray(vectors), view.vectors, wide)
            gone = ~view.alive[rows]
            # Removed rows may crowd out others: fetch more until k are left of every list.
            if wide == len(view.vectors) or (~gone).sum(axis=1).min() >= k:
                break
            wide *= 4
        cosines = np.where(gone, -np.inf, cosines).astype(np.float32)
        order = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
        cosines, rows = np.take_along_axis(cosines, order, axis=1), np.take_along_axis(rows, order, axis=1)
        return view, cosines, np.where(np.isfinite(cosines), rows, -1)
