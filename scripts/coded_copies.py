"""Noisy copies of photographs for large collections of coded local features.

Coding is most of the work of a collection of a million images. A copy keeps the features of its
photograph with noise in the projection of their descriptors, and each goes into the nearest of the
32 lists that were nearest to the feature of the photograph: a hundredth of the multiplications.
The noise is that of :func:`bench_scale.noisy`, projected.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import NamedTuple

import numpy as np

from asl.matching.candidates.coded_local_index import image_key
from asl.matching.candidates.coded_piece import piece_of
from asl.matching.candidates.feature_values import LocalFeatures
from asl.matching.candidates.piece_files import KEY, KeyedPiece
from asl.matching.candidates.piece_writer import FEATURES_PER_IMAGE
from asl.matching.candidates.quantiser import Codes, Quantiser
from asl.parallel import usable_cores
from asl.types import F32, I64

LISTS = 32  # of a photograph's feature, among which that of a copy is looked for
PIECE_FEATURES = 2**23  # features of a piece in memory, 200 MB
COPIES_AT_ONCE = 64  # of one photograph


class Copies(NamedTuple):
    """Codes of some copies of one photograph, copy by copy."""

    numbers: Sequence[int]
    codes: Codes
    scales: F32
    angles: F32


class CodedCopies:
    """Copies of photographs: copy n is one of photograph n modulo their number."""

    def __init__(
        self, photographs: Sequence[LocalFeatures], noise: np.ndarray, quantiser: Quantiser
    ) -> None:
        self._photographs = [one.largest(FEATURES_PER_IMAGE) for one in photographs]
        self._raw_noise, self._quantiser = noise, quantiser

    @cached_property
    def noise(self) -> F32:
        """Differences that noise makes to projected descriptors, float32 ``[rows, d]``."""
        rng = np.random.default_rng(0)
        every = np.concatenate([one.descriptors for one in self._photographs])
        chosen = every[rng.integers(0, len(every), len(self._raw_noise))]
        moved = np.clip(chosen + self._raw_noise, 0, 255).astype(np.uint8)
        return self._quantiser.project(moved) - self._quantiser.project(chosen)

    def pieces(self, first: int, last: int, start: int) -> Iterator[KeyedPiece]:
        """Yield copies ``first`` to ``last`` - 1 in pieces; their keys count from ``start`` on."""
        step = len(self._photographs)
        cores = usable_cores()
        numbers = [range(first + (place - first) % step, last, step) for place in range(step)]
        waiting: list[Copies] = []
        with ThreadPoolExecutor(cores) as pool:
            for begin in range(0, step, cores):
                places = range(begin, min(begin + cores, step))
                for copies in pool.map(self._all_copies, places, numbers[begin : begin + cores]):
                    waiting += copies
                if sum(len(one.scales) for one in waiting) >= PIECE_FEATURES:
                    yield self._piece(waiting, start)
                    waiting = []
        if waiting:
            yield self._piece(waiting, start)

    def _all_copies(self, place: int, numbers: Sequence[int]) -> list[Copies]:
        """Make copies of a photograph, some at a time."""
        projected = self._quantiser.project(self._photographs[place].descriptors)
        near = self._quantiser.probe(projected, LISTS).lists
        return [
            self._copies(place, numbers[begin : begin + COPIES_AT_ONCE], projected, near)
            for begin in range(0, len(numbers), COPIES_AT_ONCE)
        ]

    def _copies(self, place: int, numbers: Sequence[int], projected: F32, near: I64) -> Copies:
        """Make some copies of a photograph, given its projected features and their lists."""
        photograph, quantiser = self._photographs[place], self._quantiser
        rngs = [np.random.default_rng(number) for number in numbers]
        offsets = np.array([rng.integers(len(self.noise)) for rng in rngs], dtype=np.int64)
        draws = np.array([rng.standard_normal((2, len(photograph)), np.float32) for rng in rngs])
        rows = (offsets[:, None] + np.arange(len(photograph))) % len(self.noise)
        moved = self.noise[rows]
        moved += projected
        np.clip(moved, -127, 127, out=moved)
        lists = _nearest(near, quantiser.centroids[near], moved)
        scales = photograph.scales * np.exp2(np.float32(0.2) * draws[:, 0])
        angles = (photograph.angles + np.float32(10) * draws[:, 1]) % np.float32(360)
        codes = quantiser.encode_in(lists.ravel(), moved.reshape(-1, moved.shape[2]))
        return Copies(numbers, codes, scales.reshape(-1), angles.reshape(-1))

    def _piece(self, copies: Sequence[Copies], start: int) -> KeyedPiece:
        numbers = [number for one in copies for number in one.numbers]
        counts = [len(one.scales) // len(one.numbers) for one in copies for _ in one.numbers]
        keys = [image_key(str(start + number)) for number in numbers]
        columns = zip(*(one.codes for one in copies), strict=True)
        codes = Codes(*(np.concatenate(column) for column in columns))
        scales = np.concatenate([one.scales for one in copies])
        angles = np.concatenate([one.angles for one in copies])
        piece = piece_of(codes, np.array(counts), scales, angles, self._quantiser)
        return KeyedPiece(piece, np.array(keys, dtype=KEY))


def _nearest(near: I64, centroids: F32, moved: F32) -> I64:
    """Nearest list, int64 ``[copies, features]``.

    Args:
        near: ``[features, LISTS]`` lists to choose from.
        centroids: ``[features, LISTS, d]`` of them.
        moved: ``[copies, features, d]`` projected descriptors.
    """
    values = centroids @ moved.transpose(1, 2, 0)  # [features, LISTS, copies]
    np.multiply(values, -2, out=values)
    values += np.einsum("fld,fld->fl", centroids, centroids)[:, :, None]
    return np.take_along_axis(near, values.argmin(axis=1), axis=1).T
