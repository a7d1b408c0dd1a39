"""Index of the local features of a small collection (FAISS); above 20,000 one byte a component."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from asl.index.engines.faiss_flat import load_faiss
from asl.matching.candidates.feature_values import (
    NEIGHBOURS,
    Descriptors,
    LocalFeatures,
    Neighbours,
)
from asl.storage import ReadError, atomic_binary, read_npz
from asl.types import F32, I64

_MAX_FLAT = 20_000  # features up to which the search is exhaustive
_PROBES = 2  # lists of the inverted file that are searched for each feature
_TRAINING_FEATURES = 64  # features per list that the inverted file is trained on
_BLOCK_FEATURES = 2**17  # features that are added at once


class ExactLocalIndex:
    """Index of the local features of R references; an approximate inverted file above 20,000.

    Attributes:
        references: number of references, R.
    """

    def __init__(self, index: Any, counts: I64, scales: F32, angles: F32) -> None:
        """Wrap a FAISS index of the features of all references; see :meth:`build`.

        Args:
            index: FAISS index of N descriptors, reference by reference.
            counts: int64 ``[R]`` number of features of each reference.
            scales: float32 ``[N]`` diameter of each feature in pixels.
            angles: float32 ``[N]`` degrees.
        """
        self.references = len(counts)
        self._index = index
        self._counts = counts
        self._scales = scales
        self._angles = angles
        self._owner = np.repeat(np.arange(len(counts), dtype=np.int32), counts)

    @classmethod
    def build(cls, images: Iterable[LocalFeatures]) -> ExactLocalIndex:
        """Index the features of references, in order; images without features are allowed.

        Args:
            images: their features, all of one length D.
        """
        listed = list(images)
        counts = np.array([len(image) for image in listed], dtype=np.int64)
        scales = np.concatenate([np.empty(0, np.float32), *(image.scales for image in listed)])
        angles = np.concatenate([np.empty(0, np.float32), *(image.angles for image in listed)])
        return cls(_build_faiss_index(listed, int(counts.sum())), counts, scales, angles)

    def save(self, path: Path, *, key: str) -> None:
        """Write the index to one file, atomically.

        Args:
            path: of the file; its folder is created.
            key: identifies the references; :meth:`open` compares it.

        Raises:
            WriteError: nothing may be written there.
        """
        with atomic_binary(path, durable=False) as file:
            np.savez(
                file,
                key=np.array(key),
                counts=self._counts,
                scales=self._scales,
                angles=self._angles,
                index=load_faiss().serialize_index(self._index),
            )

    @classmethod
    def open(cls, path: Path, *, key: str) -> ExactLocalIndex | None:
        """Read an index; None where the file is missing, damaged or of another key."""
        try:
            stored = read_npz(
                path, remedy="delete it", names=("key", "counts", "scales", "angles", "index")
            )
            if str(stored["key"]) != key:
                return None
            index = load_faiss().deserialize_index(stored["index"])
            opened = cls(_set_probes(index), stored["counts"], stored["scales"], stored["angles"])
        except (ReadError, ValueError, RuntimeError):
            return None
        lengths = {index.ntotal, len(opened), len(opened._scales), len(opened._angles)}
        return opened if len(lengths) == 1 else None

    def __len__(self) -> int:
        """Number of features."""
        return len(self._owner)

    def neighbours(self, descriptors: Descriptors) -> Neighbours:
        """Search the nearest features of each of M descriptors, uint8 or int8 ``[M, D]``."""
        similar, rows = self._index.search(_unit(descriptors), min(NEIGHBOURS, len(self)))
        rows = rows.astype(np.int64, copy=False)
        distances = np.where(rows >= 0, np.maximum(2.0 - 2.0 * similar, 0.0), np.inf)
        return Neighbours(
            distances.astype(np.float32),
            self._owner[rows].astype(np.int64),
            self._angles[rows],
            self._scales[rows],
        )


def _unit(descriptors: Descriptors) -> F32:
    """Scale descriptors to unit norm, float32 ``[M, D]``."""
    rows = descriptors.astype(np.float32)
    return np.asarray(
        rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6), dtype=np.float32
    )


def _build_faiss_index(images: Sequence[LocalFeatures], count: int) -> Any:
    """Build a FAISS index of all ``count`` descriptors."""
    faiss = load_faiss()
    lists = int(np.sqrt(count))
    # Bytes would be compared one pair at a time; of few features a product of matrices is quicker.
    spec = "Flat" if count <= _MAX_FLAT else f"IVF{lists},SQ8"
    length = max((image.descriptors.shape[1] for image in images), default=1)
    index = faiss.index_factory(length, spec, faiss.METRIC_INNER_PRODUCT)
    if not count:
        return index
    step = max(1, count // (_TRAINING_FEATURES * lists))
    index.train(
        _unit(
            np.concatenate(
                [image.descriptors[number % step :: step] for number, image in enumerate(images)]
            )
        )
    )
    group = max(1, _BLOCK_FEATURES * len(images) // count)
    for start in range(0, len(images), group):
        index.add(
            _unit(np.concatenate([image.descriptors for image in images[start : start + group]]))
        )
    return _set_probes(index)


def _set_probes(index: Any) -> Any:
    """Set the number of searched lists of an inverted file; a flat index stays as it is."""
    if hasattr(index, "nprobe"):
        index.nprobe = _PROBES
    return index
