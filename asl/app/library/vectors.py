"""Unit vectors of images and of their parts, which come and go, searched exactly by their cosine."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asl.index.engines.by_name import make_engine
from asl.index.engines.faiss_flat import FaissFlat
from asl.index.engines.protocol import Engine
from asl.types import F32, I64, AslError

_FIRST = 256  # rows of the first buffer


@dataclass(frozen=True, eq=False)
class View:
    """What a search sees: rows are only ever added behind it, so it stays as it is while others write.

    Attributes:
        keys: ``[N]`` and more, key of every row; rows from N on are not the view's.
        vectors: float32 ``[N, D]`` unit rows of whole images.
        parts: float32 ``[N, R, D]`` unit rows of their parts; R may be 0.
        log_norms: float32 ``[N]`` of the whole images.
        alive: bool ``[N]``.
    """

    keys: list[str]
    vectors: F32
    parts: F32
    log_norms: F32
    alive: np.ndarray

    def __len__(self) -> int:
        return int(self.alive.sum())


class Collection:
    """Keys with features. One writer at a time, any number of readers; a reader never sees half a change."""

    def __init__(self, dim: int, *, parts: int = 0, engine: str | Engine = "auto") -> None:
        """Start empty, for features of ``dim`` dimensions of a whole and so many parts."""
        if (
            engine == "auto"
        ):  # a few looks at a time: a copy of all vectors to a GPU would take longer than they do
            self._engine: Engine = FaissFlat(gpus=0)
        else:
            self._engine = make_engine(engine) if isinstance(engine, str) else engine
        self._lock = threading.Lock()
        self._keys: list[str] = []
        self._row: dict[str, int] = {}
        self._vectors = np.empty((_FIRST, dim), dtype=np.float32)
        self._parts = np.empty((_FIRST, parts, dim), dtype=np.float32)
        self._log_norms = np.empty(_FIRST, dtype=np.float32)
        self._alive = np.zeros(_FIRST, dtype=bool)

    def __len__(self) -> int:
        return len(self._row)

    def __contains__(self, key: str) -> bool:
        return key in self._row

    def add(self, keys: Sequence[str], features: F32, parts: F32 | None = None) -> None:
        """Add or replace features.

        Args:
            keys: n of them, each once.
            features: float32 ``[n, D]`` of the whole images, un-normalised.
            parts: float32 ``[n, R, D]`` of their parts; None where the collection has none.
        """
        norms = np.linalg.norm(features.astype(np.float64), axis=1)
        if not np.all(np.isfinite(norms) & (norms > 0)):
            raise AslError("features: one has no direction (its length is 0 or not finite)")
        unit = _unit_parts(parts, (len(keys), *self._parts.shape[1:]))
        with self._lock:
            self._drop(keys)
            self._compact_if_sparse()
            start, end = len(self._keys), len(self._keys) + len(keys)
            if end > len(self._vectors):
                self._resize(max(end, 2 * len(self._vectors)))
            self._vectors[start:end] = features / norms[:, None]
            self._parts[start:end] = unit
            self._log_norms[start:end] = np.log(norms)
            self._alive[start:end] = True
            self._keys.extend(keys)  # views know how many of them are theirs
            self._row.update(zip(keys, range(start, end), strict=True))

    def reserve(self, rows: int) -> None:
        """Make room for so many more rows, where their number is known: growing by itself takes up to twice as much."""
        with self._lock:
            if len(self._keys) + rows > len(self._vectors):
                self._resize(len(self._keys) + rows)

    def remove(self, keys: Sequence[str]) -> int:
        """Take features away; unknown keys are no error. Returns how many there were."""
        with self._lock:
            count = self._drop(keys)
            self._compact_if_sparse()
            return count

    def _drop(self, keys: Sequence[str]) -> int:
        rows = [self._row.pop(key) for key in dict.fromkeys(keys) if key in self._row]
        if rows:
            # A copy: views that were handed out keep theirs.
            self._alive = self._alive.copy()
            self._alive[rows] = False
        return len(rows)

    def _resize(self, rows: int) -> None:
        for name in ("_vectors", "_parts", "_log_norms", "_alive"):
            old = getattr(self, name)
            new = np.zeros((rows, *old.shape[1:]), dtype=old.dtype)
            new[: len(self._keys)] = old[: len(self._keys)]
            setattr(self, name, new)

    def _compact_if_sparse(self) -> None:
        if len(self._keys) <= 2 * _FIRST or len(self._row) >= len(self._keys) // 2:
            return
        rows = np.flatnonzero(self._alive[: len(self._keys)])
        self._keys = [self._keys[row] for row in rows.tolist()]
        self._vectors, self._parts = self._vectors[rows], self._parts[rows]
        self._log_norms, self._alive = self._log_norms[rows], np.ones(len(rows), dtype=bool)
        self._row = {key: row for row, key in enumerate(self._keys)}

    def view(self) -> View:
        """What is there now."""
        with self._lock:
            count = len(self._keys)
            parts = (
                self._vectors[:count],
                self._parts[:count],
                self._log_norms[:count],
                self._alive[:count],
            )
            return View(self._keys, *parts)

    def nearest(self, looks: F32, k: int) -> tuple[View, I64]:
        """The k keys most like one image, by the best cosine: of the wholes, or of one whole and a part of the other.

        Args:
            looks: float32 ``[1 + S, D]`` unit rows: the image as a whole, then its parts. Parts are
                compared with wholes only; two parts alike are the sky twice.
            k: how many.

        Returns:
            The view that was searched and int64 ``[k']`` rows of it, the nearest first; fewer where
            there are fewer.
        """
        view = self.view()
        if not len(view):
            return view, np.empty(0, np.int64)
        found = [self._top(looks, view.vectors, view.alive, k)]
        if view.parts.shape[1]:
            found.append(
                self._top(looks[:1], view.parts.reshape(-1, view.parts.shape[2]), view.alive, k)
            )
        cosines, rows = (np.concatenate([pair[side].ravel() for pair in found]) for side in (0, 1))
        order = np.lexsort((rows, -cosines))
        order = order[np.isfinite(cosines[order])]
        _, first = np.unique(rows[order], return_index=True)
        return view, rows[order][np.sort(first)][:k].astype(np.int64)

    def _top(self, looks: F32, vectors: F32, alive: np.ndarray, k: int) -> tuple[F32, I64]:
        """The nearest of ``vectors``, several of which may be of one image: k images or more for each look.

        Returns:
            Cosines, -inf where an image was removed, and rows of ``alive``.
        """
        each = len(vectors) // len(alive)
        wide = each * k
        while True:
            wide = min(len(vectors), wide + 16)
            cosines, rows = self._engine.top(np.ascontiguousarray(looks), vectors, wide)
            gone = ~alive[rows // each]
            # Removed rows may crowd out others: fetch more until enough are left of every list.
            if wide == len(vectors) or (~gone).sum(axis=1).min() >= each * k:
                return np.where(gone, -np.inf, cosines).astype(np.float32), rows // each
            wide *= 4


def _unit_parts(parts: F32 | None, shape: tuple[int, ...]) -> F32:
    """Unit rows of parts; one without a direction is nothing's neighbour."""
    given = np.empty((shape[0], 0, shape[2]), np.float32) if parts is None else parts
    if given.shape != shape:
        raise AslError(f"parts: expected {list(shape)}, got {list(given.shape)}")
    norms = np.linalg.norm(given, axis=2, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        unit = np.where(np.isfinite(norms) & (norms > 0), given / norms, 0.0)
    return np.asarray(unit, dtype=np.float32)
