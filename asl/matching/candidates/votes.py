"""Votes of local features: which references share details with a query, wherever in the picture they are.

One vector for a whole picture says little about the ninth of it that was cut out, or about the
photo that was pasted into another one. Local features of that part are as good as ever: each looks
up its nearest neighbours among the features of all references (an inverted file of FAISS) and votes
for their images, by how much nearer they are than the last one found (Jégou et al., "On the
burstiness of visual elements", CVPR 2009, is why a feature has one vote an image). Votes count
where they agree on turn and size (weak geometric consistency; Jégou et al., ECCV 2008, section 4).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from asl.index.engines.faiss_flat import load_faiss
from asl.storage import ReadError, atomic_binary, read_npz
from asl.types import F32, I64, AslError

_WIDTH = 128  # components of a descriptor
_NEIGHBOURS = 6  # that every feature looks up; the last one is the yardstick of the others
_FLAT = 20_000  # features up to which every one is compared with every other
_PROBES = 2  # lists of the inverted file that a feature looks into
_TRAIN = 64  # features for each list that the inverted file is trained on
_BLOCK = 2**17  # features that are added at once
_TURNS, _SIZES = 8, 14  # bins: eighths of a turn, and factors of two from 2^-6 on


@dataclass(frozen=True, eq=False)
class LocalFeatures:
    """Local features of one image, without their places.

    Attributes:
        scales: float32 ``[K]`` diameter in pixels.
        angles: float32 ``[K]`` degrees.
        descriptors: uint8 ``[K, 128]`` (RootSIFT; see :mod:`asl.matching.align.prepare`).
    """

    scales: F32
    angles: F32
    descriptors: npt.NDArray[np.uint8]

    def __post_init__(self) -> None:
        count = len(self.descriptors)
        if (
            self.descriptors.shape != (count, _WIDTH)
            or self.scales.shape != (count,)
            or self.angles.shape != (count,)
        ):
            raise AslError(
                f"local features: expected descriptors [K, {_WIDTH}], scales [K] and angles [K], got "
                f"{self.descriptors.shape}, {self.scales.shape} and {self.angles.shape}"
            )

    def __len__(self) -> int:
        return len(self.descriptors)


class LocalIndex:
    """The local features of R references, ready to be voted for. Approximate: a feature sees the lists near it.

    Attributes:
        references: R.
    """

    def __init__(self, index: Any, counts: I64, scales: F32, angles: F32) -> None:
        """Hold a FAISS index of the features of all references, row by row; see :meth:`build`."""
        self.references = len(counts)
        self._index, self._counts, self._scales, self._angles = index, counts, scales, angles
        self._owner = np.repeat(np.arange(len(counts), dtype=np.int32), counts)

    @classmethod
    def build(cls, images: Iterable[LocalFeatures]) -> LocalIndex:
        """Index the features of references; images without features are fine."""
        held = list(images)
        counts = np.array([len(image) for image in held], dtype=np.int64)
        scales = np.concatenate([np.empty(0, np.float32), *(image.scales for image in held)])
        angles = np.concatenate([np.empty(0, np.float32), *(image.angles for image in held)])
        return cls(_built(held, int(counts.sum())), counts, scales, angles)

    def save(self, path: Path, *, key: str) -> None:
        """Keep it in one file, which appears when it is whole; ``key`` says what it is an index of."""
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
        """What was kept under that key; None where there is nothing, something else, or a damaged file."""
        try:
            kept = read_npz(
                path, remedy="delete it", names=("key", "counts", "scales", "angles", "index")
            )
            if str(kept["key"]) != key:
                return None
            index = load_faiss().deserialize_index(kept["index"])
            found = cls(_probing(index), kept["counts"], kept["scales"], kept["angles"])
        except (ReadError, ValueError, RuntimeError):
            return None
        return (
            found
            if index.ntotal == len(found) == len(found._scales) == len(found._angles)
            else None
        )

    def __len__(self) -> int:
        """Number of features."""
        return len(self._owner)

    def votes(self, readings: Sequence[LocalFeatures], k: int) -> tuple[I64, F32]:
        """The references that most features of a query vote for.

        Args:
            readings: the features of the query read in one or several ways (as it is, mirrored
                ...); the best counts.
            k: most references.

        Returns:
            int64 ``[n]`` rows of references and float32 ``[n]`` votes, most first, n <= k; ties by
            row. A reference that nothing speaks for is not among them.
        """
        total = np.zeros(self.references, dtype=np.float64)
        if len(self) and any(len(reading) for reading in readings):
            similar, rows = self._nearest(
                np.concatenate([reading.descriptors for reading in readings])
            )
            start = 0
            for reading in readings:
                part = slice(start, start + len(reading))
                total = np.maximum(total, self._counted(reading, similar[part], rows[part]))
                start = part.stop
        order = np.lexsort((np.arange(len(total)), -total))[:k]
        order = order[total[order] > 0]
        return order.astype(np.int64), total[order].astype(np.float32)

    def _nearest(self, descriptors: npt.NDArray[np.uint8]) -> tuple[F32, I64]:
        similar, rows = self._index.search(_unit(descriptors), min(_NEIGHBOURS, len(self)))
        return similar, rows.astype(np.int64, copy=False)

    def _counted(self, reading: LocalFeatures, similar: F32, rows: I64) -> npt.NDArray[np.float64]:
        """``[R]`` votes of one reading."""
        distance = np.where(rows >= 0, np.maximum(2.0 - 2.0 * similar, 0.0), 0.0)
        farthest = np.maximum(distance.max(axis=1, keepdims=True), 1e-6)
        weight = np.where(rows >= 0, 1.0 - distance / farthest, 0.0)
        feature, place = np.nonzero(weight > 0)
        found, value = rows[feature, place], weight[feature, place]
        owner = self._owner[found].astype(np.int64)
        # Neighbours come nearest first: the first of an image is the feature's one vote for it.
        _, once = np.unique(feature * np.int64(self.references) + owner, return_index=True)
        feature, found, value, owner = feature[once], found[once], value[once], owner[once]
        turn = (reading.angles[feature] - self._angles[found]) % 360.0 / 360.0 * _TURNS
        size = (
            np.log2(
                np.maximum(reading.scales[feature], 1e-3) / np.maximum(self._scales[found], 1e-3)
            )
            + 6.0
        )
        return self._agreeing(owner, value, turn, size)

    def _agreeing(self, owner: I64, value: Any, turn: Any, size: Any) -> npt.NDArray[np.float64]:
        """``[R]`` the largest sum of votes in one bin of turn and size; bins overlap, so that no border splits them."""
        best = np.zeros(self.references)
        for half_turn, half_size in product((0.0, 0.5), repeat=2):
            turn_bin = np.floor(turn + half_turn).astype(np.int64) % _TURNS
            size_bin = np.clip(np.floor(size + half_size), 0, _SIZES - 1).astype(np.int64)
            bins, member = np.unique(
                (owner * _SIZES + size_bin) * _TURNS + turn_bin, return_inverse=True
            )
            np.maximum.at(
                best,
                bins // (_SIZES * _TURNS),
                np.bincount(member, weights=value, minlength=len(bins)),
            )
        return best


def _unit(descriptors: npt.NDArray[np.uint8]) -> F32:
    rows = descriptors.astype(np.float32)
    return np.asarray(
        rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6), dtype=np.float32
    )


def _built(images: Sequence[LocalFeatures], count: int) -> Any:
    """A FAISS index of all descriptors, one byte a component."""
    faiss = load_faiss()
    lists = int(np.sqrt(count))
    spec = "SQ8" if count <= _FLAT else f"IVF{lists},SQ8"
    index = faiss.index_factory(_WIDTH, spec, faiss.METRIC_INNER_PRODUCT)
    if not count:
        return index
    step = max(1, count // (_TRAIN * lists))
    index.train(
        _unit(
            np.concatenate(
                [image.descriptors[number % step :: step] for number, image in enumerate(images)]
            )
        )
    )
    group = max(1, _BLOCK * len(images) // count)
    for start in range(0, len(images), group):
        index.add(
            _unit(np.concatenate([image.descriptors for image in images[start : start + group]]))
        )
    return _probing(index)


def _probing(index: Any) -> Any:
    """The index, set to look into a few lists where it has lists."""
    if hasattr(index, "nprobe"):
        index.nprobe = _PROBES
    return index
