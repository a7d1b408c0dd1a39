"""Rank references by the votes of a query's local features.

A global embedding represents small parts poorly: the ninth of a picture that was cut out, or a
photo that was pasted into another one. Local features of that part are unaffected. Each feature of
the query votes for the images of its nearest neighbours, weighted by how much nearer they are than
the last neighbour. A feature has one vote per image (Jégou et al., "On the burstiness of visual
elements", CVPR 2009). Votes count where they agree on rotation and scale (weak geometric
consistency; Jégou et al., ECCV 2008, section 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Protocol

import numpy as np

from asl.matching.candidates.feature_values import Descriptors, LocalFeatures, Neighbours
from asl.types import F32, F64, I64, ScoredPairs, StrArray

_ROTATION_BINS = 8  # of 45 degrees
_SCALE_BINS = 14  # factors of two, from 2^-6
_LOWEST_OCTAVE = 6.0


class FeatureIndex(Protocol):
    """Index of the local features of R references."""

    @property
    def references(self) -> int:
        """Number of references, R."""
        ...

    def __len__(self) -> int:
        """Number of features."""
        ...

    def neighbours(self, descriptors: Descriptors) -> Neighbours:
        """Search the nearest features of each of M descriptors ``[M, D]``."""
        ...


def rank_by_votes(
    index: FeatureIndex, readings: Sequence[LocalFeatures], k: int
) -> tuple[I64, F32]:
    """Rank references by the votes of a query's features.

    Args:
        index: of the references.
        readings: features of the query in one or several readings (as it is, mirrored ...); a
            reference gets the votes of the best reading.
        k: maximum number of references.

    Returns:
        int64 ``[n]`` rows of references and float32 ``[n]`` votes, most first, n <= k; ties by
        row. References without votes are omitted.
    """
    rows, votes = np.empty(0, np.int64), np.empty(0, np.float64)
    if len(index) and any(len(reading) for reading in readings):
        found = index.neighbours(np.concatenate([reading.descriptors for reading in readings]))
        start = 0
        parts = []
        for reading in readings:
            part = slice(start, start + len(reading))
            parts.append(_reading_votes(reading, found.of(part)))
            start = part.stop
        rows, place = np.unique(
            np.concatenate([owners for owners, _ in parts]), return_inverse=True
        )
        votes = np.zeros(len(rows))
        np.maximum.at(votes, place, np.concatenate([values for _, values in parts]))
    order = np.lexsort((rows, -votes))[:k]
    return rows[order].astype(np.int64), votes[order].astype(np.float32)


def joined_lists(
    queries: StrArray, references: StrArray, lists: Sequence[tuple[I64, F32]]
) -> ScoredPairs:
    """Join the list of every query, as :func:`rank_by_votes` returns it, to pairs."""
    counts = [len(rows) for rows, _ in lists]
    return ScoredPairs(
        queries,
        references,
        np.repeat(np.arange(len(queries)), counts),
        np.concatenate([np.empty(0, np.int64), *(rows for rows, _ in lists)]),
        np.concatenate([np.empty(0, np.float32), *(votes for _, votes in lists)]),
    )


def _reading_votes(reading: LocalFeatures, found: Neighbours) -> tuple[I64, F64]:
    """Return the references that one reading votes for, and their votes (above 0)."""
    known = np.isfinite(found.distances)
    distance = np.where(known, np.maximum(found.distances, 0.0), 0.0)
    farthest = np.maximum(distance.max(axis=1, keepdims=True), 1e-6)
    weight = np.where(known, 1.0 - distance / farthest, 0.0)
    feature, rank = np.nonzero(weight > 0)
    owner = found.images[feature, rank]
    # Neighbours come nearest first: the first of an image is the feature's one vote for it.
    pairs = feature * (np.max(owner, initial=0) + 1) + owner
    _, once = np.unique(pairs, return_index=True)
    feature, rank = feature[once], rank[once]
    owner = owner[once]
    turned = (reading.angles[feature] - found.angles[feature, rank]) % 360.0
    scales = np.maximum(found.scales[feature, rank], 1e-3)
    octave = np.log2(np.maximum(reading.scales[feature], 1e-3) / scales)
    return _largest_bins(
        owner,
        np.asarray(weight[feature, rank], dtype=np.float64),
        np.asarray(turned / 360.0 * _ROTATION_BINS, dtype=np.float32),
        np.asarray(octave + _LOWEST_OCTAVE, dtype=np.float32),
    )


def _largest_bins(owner: I64, value: F64, rotation: F32, scale: F32) -> tuple[I64, F64]:
    """Return owners and their largest sum of votes in one bin of rotation and scale.

    Bins overlap by half, so that no border splits a group of votes.
    """
    owners, place = np.unique(owner, return_inverse=True)
    best = np.zeros(len(owners))
    for half_rotation, half_scale in product((0.0, 0.5), repeat=2):
        rotation_bin = np.floor(rotation + half_rotation).astype(np.int64) % _ROTATION_BINS
        scale_bin = np.clip(np.floor(scale + half_scale), 0, _SCALE_BINS - 1).astype(np.int64)
        bins, member = np.unique(
            (place * _SCALE_BINS + scale_bin) * _ROTATION_BINS + rotation_bin,
            return_inverse=True,
        )
        np.maximum.at(
            best,
            bins // (_SCALE_BINS * _ROTATION_BINS),
            np.bincount(member, weights=value, minlength=len(bins)),
        )
    return owners, best
