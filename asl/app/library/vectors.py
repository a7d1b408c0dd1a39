"""Changing collection of unit vectors of images and their regions, searched exactly by cosine."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asl.app.library.vector_rows import INITIAL_ROWS, VectorRows, digest_bytes
from asl.index.engines.by_name import make_engine
from asl.index.engines.faiss_flat import FaissFlat
from asl.index.engines.numpy_exact import NumpyExact
from asl.index.engines.protocol import Engine
from asl.types import F32, I64, AslError, Bools

# Components up to which NumPy is as quick as FAISS, which takes 160 MB and a moment to load.
_FEW = 2**22
_NUMPY = NumpyExact()


@dataclass(frozen=True, eq=False)
class VectorView:
    """Snapshot of a collection; later writes append rows behind it and do not change it.

    Attributes:
        keys: ``[N]`` and more, key of every row; rows from N on belong to later views.
        vectors: float32 ``[N, D]`` unit rows of whole images.
        regions: float32 ``[N, R, D]`` unit rows of their regions; R may be 0.
        log_norms: float32 ``[N]`` of the whole images.
        alive: bool ``[N]``, False for removed rows.
    """

    keys: list[str]
    vectors: F32
    regions: F32
    log_norms: F32
    alive: Bools

    def __len__(self) -> int:
        return int(self.alive.sum())


class VectorCollection:
    """Keys with features; one writer at a time, any number of readers, each on a snapshot."""

    def __init__(
        self,
        dim: int,
        *,
        regions: int = 0,
        engine: str | Engine = "auto",
        rows: VectorRows | None = None,
    ) -> None:
        """Create an empty collection.

        Args:
            dim: D.
            regions: R, number of regions of an image.
            engine: search engine, or its name; ``auto`` is NumPy for few vectors, else FAISS on the
                CPU.
            rows: where the vectors are; None: in memory.
        """
        self._chosen: Engine | None = None  # ``auto``: by the size of what is searched
        if engine != "auto":
            self._chosen = make_engine(engine) if isinstance(engine, str) else engine
        self._lock = threading.Lock()
        self._keys: list[str] = []
        self._row: dict[str, int] = {}
        self._rows = rows or VectorRows(dim, regions)
        self._alive = np.zeros(len(self._rows.facts), dtype=bool)

    def __len__(self) -> int:
        return len(self._row)

    def __contains__(self, key: str) -> bool:
        return key in self._row

    def restore(self, keys: Sequence[str], digests: Sequence[str]) -> list[int]:
        """Take the rows that an earlier process left; call it before anything is added.

        Args:
            keys: ``n`` unique keys.
            digests: hexadecimal, of the content of each; rows of others are left out.

        Returns:
            Positions of the keys that have no row.
        """
        rows = self._rows.complete
        waiting: dict[bytes, list[int]] = {}
        for position in reversed(range(len(keys))):
            waiting.setdefault(bytes.fromhex(digests[position]), []).append(position)
        stored = np.ascontiguousarray(self._rows.facts["digest"][:rows]).tobytes()
        with self._lock:
            self._alive = np.zeros(len(self._rows.facts), dtype=bool)
            for row in range(rows):
                positions = waiting.get(stored[32 * row : 32 * row + 32])
                self._keys.append(keys[positions.pop()] if positions else "")
                if self._keys[-1]:
                    self._row[self._keys[-1]] = row
            self._alive[list(self._row.values())] = True
            self._compact_if_sparse()
        return sorted(position for positions in waiting.values() for position in positions)

    def check(self) -> None:
        """Compare the rows that an earlier process left with their checksums.

        Raises:
            ReadError: one is damaged.
        """
        self._rows.check()

    def close(self) -> None:
        """Leave the rows to the next process, where they are in files."""
        with self._lock:
            self._rows.close(len(self._keys))

    def add(
        self,
        keys: Sequence[str],
        features: F32,
        regions: F32 | None = None,
        *,
        digests: Sequence[str] | None = None,
    ) -> None:
        """Add or replace features.

        Args:
            keys: ``n`` unique keys.
            features: float32 ``[n, D]`` of the whole images, un-normalised.
            regions: float32 ``[n, R, D]`` of their regions; None if R is 0.
            digests: of the content of each, by which :meth:`restore` finds the rows again.

        Raises:
            AslError: a feature is zero or not finite, or the regions have another shape.
        """
        norms = np.linalg.norm(features.astype(np.float64), axis=1)
        if not np.all(np.isfinite(norms) & (norms > 0)):
            raise AslError("features: a row is zero or not finite; its direction is undefined")
        unit_regions = _unit_regions(regions, (len(keys), *self._rows.regions.shape[1:]))
        contents = digest_bytes(digests or ["00" * 32] * len(keys))
        with self._lock:
            self._drop(keys)
            self._compact_if_sparse()
            start, end = len(self._keys), len(self._keys) + len(keys)
            if end > len(self._rows.facts):
                self._resize(self._rows.room(end))
            self._rows.put(
                start,
                np.asarray(features / norms[:, None], dtype=np.float32),
                unit_regions,
                np.asarray(np.log(norms), dtype=np.float32),
                contents,
            )
            self._alive[start:end] = True
            self._keys.extend(keys)  # views know how many of them are theirs
            self._row.update(zip(keys, range(start, end), strict=True))

    def reserve(self, rows: int) -> None:
        """Allocate exactly ``rows`` further rows; growing on demand takes up to twice as much."""
        with self._lock:
            if len(self._keys) + rows > len(self._rows.facts):
                self._resize(len(self._keys) + rows)

    def remove(self, keys: Sequence[str]) -> int:
        """Remove features; unknown keys are ignored. Return the number removed."""
        with self._lock:
            count = self._drop(keys)
            self._compact_if_sparse()
            return count

    def _drop(self, keys: Sequence[str]) -> int:
        rows = [self._row.pop(key) for key in dict.fromkeys(keys) if key in self._row]
        if rows:
            # Views keep the array that they were given.
            self._alive = self._alive.copy()
            self._alive[rows] = False
        return len(rows)

    def _resize(self, rows: int) -> None:
        used = len(self._keys)
        try:
            self._rows.grow(rows, used)
        except OSError:  # the disk is full
            self._rows = self._rows.in_memory(used)
            self._rows.grow(rows, used)
        alive = np.zeros(len(self._rows.facts), dtype=bool)
        alive[:used] = self._alive[:used]
        self._alive = alive

    def _compact_if_sparse(self) -> None:
        if len(self._keys) <= 2 * INITIAL_ROWS or len(self._row) >= len(self._keys) // 2:
            return
        rows = np.flatnonzero(self._alive[: len(self._keys)])
        try:
            self._rows.keep(rows)
        except OSError:  # the disk is full: dead rows cost memory, not answers
            return
        self._keys = [self._keys[row] for row in rows.tolist()]
        self._alive = np.arange(len(self._rows.facts)) < len(rows)
        self._row = {key: row for row, key in enumerate(self._keys)}

    def view(self) -> VectorView:
        """Return a snapshot."""
        with self._lock:
            count = len(self._keys)
            return VectorView(
                self._keys,
                self._rows.vectors[:count],
                self._rows.regions[:count],
                self._rows.facts["log_norm"][:count],
                self._alive[:count],
            )

    def rows(self, view: VectorView, keys: Sequence[str]) -> list[int]:
        """Return the rows of keys in a view; those that it does not have are left out."""
        with self._lock:
            rows = self._row if self._keys is view.keys else None
            found = [rows.get(key, -1) for key in keys] if rows is not None else []
        if rows is None:  # compacted since
            of_view = {key: row for row, key in enumerate(view.keys[: len(view.alive)])}
            found = [of_view.get(key, -1) for key in keys]
        return [row for row in found if 0 <= row < len(view.alive) and view.alive[row]]

    def nearest(self, query: F32, k: int) -> tuple[VectorView, I64]:
        """Find the k keys nearest to one image, by the best cosine of their whole and regions.

        Whole images are compared with whole images, and regions of either side with whole images
        of the other. Region-to-region matches are excluded: generic content such as sky would
        match.

        Args:
            query: float32 ``[1 + S, D]`` unit rows: the whole image, then its regions.
            k: number of keys.

        Returns:
            The view that was searched, and int64 ``[k']`` of its rows, nearest first; k' < k where
            there are fewer.
        """
        view = self.view()
        if not len(view):
            return view, np.empty(0, np.int64)
        results = [self._top(query, view.vectors, view.alive, k)]
        if view.regions.shape[1]:
            flat = view.regions.reshape(-1, view.regions.shape[2])
            results.append(self._top(query[:1], flat, view.alive, k))
        cosines = np.concatenate([cosines.ravel() for cosines, _ in results])
        rows = np.concatenate([rows.ravel() for _, rows in results])
        order = np.lexsort((rows, -cosines))
        order = order[np.isfinite(cosines[order])]
        _, first = np.unique(rows[order], return_index=True)
        return view, rows[order][np.sort(first)][:k].astype(np.int64)

    def _engine_for(self, vectors: F32) -> Engine:
        """Return the engine for an array; FAISS is loaded for the first that is worth it."""
        if self._chosen is None and vectors.size <= _FEW:
            return _NUMPY
        if self._chosen is None:
            # A few queries at a time: copying all to a GPU would take longer than the search.
            self._chosen = FaissFlat(gpus=0)
        return self._chosen

    def _top(self, queries: F32, vectors: F32, alive: Bools, k: int) -> tuple[F32, I64]:
        """Search vectors, of which every image has the same number, for k images a query or more.

        Returns:
            Cosines, -inf where an image was removed, and rows of ``alive``.
        """
        engine = self._engine_for(vectors)
        vectors_per_image = len(vectors) // len(alive)
        wide = vectors_per_image * k
        while True:
            wide = min(len(vectors), wide + 16)
            cosines, rows = engine.top(np.ascontiguousarray(queries), vectors, wide)
            removed = ~alive[rows // vectors_per_image]
            # Removed rows may crowd out others: fetch more until every list has enough.
            least = (~removed).sum(axis=1).min()
            if wide == len(vectors) or least >= vectors_per_image * k:
                cosines = np.where(removed, -np.inf, cosines).astype(np.float32)
                return cosines, rows // vectors_per_image
            wide *= 4


def _unit_regions(regions: F32 | None, shape: tuple[int, ...]) -> F32:
    """Normalise the rows of regions; rows that are zero or not finite become zero."""
    given = np.empty((shape[0], 0, shape[2]), np.float32) if regions is None else regions
    if given.shape != shape:
        raise AslError(f"regions: expected {list(shape)}, got {list(given.shape)}")
    norms = np.linalg.norm(given, axis=2, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        unit = np.where(np.isfinite(norms) & (norms > 0), given / norms, 0.0)
    return np.asarray(unit, dtype=np.float32)
