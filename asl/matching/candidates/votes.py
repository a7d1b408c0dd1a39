"""Index of local features: references are ranked by votes of the query's features.

A global embedding represents small parts poorly: the ninth of a picture that was cut out, or a
photo that was pasted into another one. Local features of that part are unaffected. Each feature of
the query retrieves its nearest neighbours among the features of all references (an inverted file of
FAISS) and votes for their images, weighted by how much nearer they are than the last neighbour. A
feature has one vote per image (Jégou et al., "On the burstiness of visual elements", CVPR 2009).
Votes count where they agree on rotation and scale (weak geometric consistency; Jégou et al., ECCV
2008, section 4).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from asl.index.engines.faiss_flat import load_faiss
from asl.matching.align.sift import DESCRIPTOR_LENGTH
from asl.storage import ReadError, atomic_binary, read_npz
from asl.types import F32, F64, I64, U8, AslError

_NEIGHBOURS = 6  # neighbours of each feature; the distance of the last one normalises the others
_MAX_FLAT = 20_000  # features up to which the search is exhaustive
_PROBES = 2  # lists of the inverted file that are searched for each feature
_TRAINING_FEATURES = 64  # features per list that the inverted file is trained on
_BLOCK_FEATURES = 2**17  # features that are added at once
_ROTATION_BINS = 8  # of 45 degrees
_SCALE_BINS = 14  # factors of two, from 2^-6
_LOWEST_OCTAVE = 6.0


@dataclass(frozen=True, eq=False)
class LocalFeatures:
    """Local features of one image, without positions.

    Attributes:
        scales: float32 ``[K]`` diameter in pixels.
        angles: float32 ``[K]`` degrees.
        descriptors: uint8 ``[K, 128]`` RootSIFT; see :mod:`asl.matching.align.sift`.

    Raises:
        AslError: the three do not have these shapes.
    """

    scales: F32
    angles: F32
    descriptors: U8

    def __post_init__(self) -> None:
        count = len(self.descriptors)
        if (
            self.descriptors.shape != (count, DESCRIPTOR_LENGTH)
            or self.scales.shape != (count,)
            or self.angles.shape != (count,)
        ):
            raise AslError(
                f"local features: expected descriptors [K, {DESCRIPTOR_LENGTH}], scales [K] and "
                f"angles [K], got {self.descriptors.shape}, {self.scales.shape} and "
                f"{self.angles.shape}"
            )

    def __len__(self) -> int:
        return len(self.descriptors)


class LocalIndex:
    """Inverted file of the local features of R references; approximate above 20,000 features.

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
    def build(cls, images: Iterable[LocalFeatures]) -> LocalIndex:
        """Index the features of references, in order; images without features are allowed."""
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
    def open(cls, path: Path, *, key: str) -> LocalIndex | None:
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

    def votes(self, readings: Sequence[LocalFeatures], k: int) -> tuple[I64, F32]:
        """Rank references by the votes of a query's features.

        Args:
            readings: features of the query in one or several readings (as it is, mirrored ...); a
                reference gets the votes of the best reading.
            k: maximum number of references.

        Returns:
            int64 ``[n]`` rows of references and float32 ``[n]`` votes, most first, n <= k; ties by
            row. References without votes are omitted.
        """
        total = np.zeros(self.references, dtype=np.float64)
        if len(self) and any(len(reading) for reading in readings):
            similar, rows = self._nearest(
                np.concatenate([reading.descriptors for reading in readings])
            )
            start = 0
            for reading in readings:
                part = slice(start, start + len(reading))
                total = np.maximum(total, self._reading_votes(reading, similar[part], rows[part]))
                start = part.stop
        order = np.lexsort((np.arange(len(total)), -total))[:k]
        order = order[total[order] > 0]
        return order.astype(np.int64), total[order].astype(np.float32)

    def _nearest(self, descriptors: U8) -> tuple[F32, I64]:
        """Search the neighbours of M descriptors: cosines and rows, ``[M, neighbours]``."""
        similar, rows = self._index.search(_unit(descriptors), min(_NEIGHBOURS, len(self)))
        return similar, rows.astype(np.int64, copy=False)

    def _reading_votes(self, reading: LocalFeatures, similar: F32, rows: I64) -> F64:
        """Votes of one reading for every reference, float64 ``[R]``."""
        distance = np.where(rows >= 0, np.maximum(2.0 - 2.0 * similar, 0.0), 0.0)
        farthest = np.maximum(distance.max(axis=1, keepdims=True), 1e-6)
        weight = np.where(rows >= 0, 1.0 - distance / farthest, 0.0)
        feature, rank = np.nonzero(weight > 0)
        neighbour, value = rows[feature, rank], weight[feature, rank]
        owner = self._owner[neighbour].astype(np.int64)
        # Neighbours come nearest first: the first of an image is the feature's one vote for it.
        _, once = np.unique(feature * np.int64(self.references) + owner, return_index=True)
        feature, neighbour = feature[once], neighbour[once]
        turned = (reading.angles[feature] - self._angles[neighbour]) % 360.0
        scales = np.maximum(self._scales[neighbour], 1e-3)
        octave = np.log2(np.maximum(reading.scales[feature], 1e-3) / scales)
        return self._largest_bin(
            owner[once],
            value[once],
            turned / 360.0 * _ROTATION_BINS,
            octave + _LOWEST_OCTAVE,
        )

    def _largest_bin(self, owner: I64, value: Any, rotation: Any, scale: Any) -> F64:
        """Largest sum of votes in one bin of rotation and scale, for every reference: ``[R]``.

        Bins overlap by half, so that no border splits a group of votes.
        """
        best = np.zeros(self.references)
        for half_rotation, half_scale in product((0.0, 0.5), repeat=2):
            rotation_bin = np.floor(rotation + half_rotation).astype(np.int64) % _ROTATION_BINS
            scale_bin = np.clip(np.floor(scale + half_scale), 0, _SCALE_BINS - 1).astype(np.int64)
            bins, member = np.unique(
                (owner * _SCALE_BINS + scale_bin) * _ROTATION_BINS + rotation_bin,
                return_inverse=True,
            )
            np.maximum.at(
                best,
                bins // (_SCALE_BINS * _ROTATION_BINS),
                np.bincount(member, weights=value, minlength=len(bins)),
            )
        return best


def _unit(descriptors: U8) -> F32:
    """Scale descriptors to unit norm, float32 ``[M, 128]``."""
    rows = descriptors.astype(np.float32)
    return np.asarray(
        rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6), dtype=np.float32
    )


def _build_faiss_index(images: Sequence[LocalFeatures], count: int) -> Any:
    """Build a FAISS index of all ``count`` descriptors, one byte a component."""
    faiss = load_faiss()
    lists = int(np.sqrt(count))
    spec = "SQ8" if count <= _MAX_FLAT else f"IVF{lists},SQ8"
    index = faiss.index_factory(DESCRIPTOR_LENGTH, spec, faiss.METRIC_INNER_PRODUCT)
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
