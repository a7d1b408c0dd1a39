"""Search the nearest coded features of a query's features in the pieces of an inverted file.

The codes of the nearest lists are compared with each feature by the Hamming distance of their
signs; the distances of the nearest codes are then estimated from the unquantised feature (Gao &
Long, "RaBitQ", SIGMOD 2024, equation 20). The result does not depend on how images were divided
into pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from asl.matching.candidates.coded_piece import (
    FEATURE,
    Piece,
    Records,
    Words,
    angles_of,
    rows_of_images,
    scales_of,
)
from asl.matching.candidates.feature_values import Neighbours
from asl.matching.candidates.quantiser import Probes, Quantiser
from asl.types import F32, F64, I64, U8

_CODES_PER_FEATURE = 8192  # compared with each feature of a query, on average
_MOST_PROBES = 32
_LEAST_PROBES = 2
_EXAMINED = 32  # codes of smallest Hamming distance per feature whose distance is estimated
_CODES_AT_ONCE = 2**17  # in memory
_SMALLEST_FIT = 32  # of 255; a residual of length 0 has none


class _Near(NamedTuple):
    """Codes of small Hamming distance.

    Attributes:
        feature: int64 ``[C]`` feature of the query.
        probe: int64 ``[C]`` number of the list among those of the feature.
        signs: uint64 ``[C, W]``.
        facts: records ``[C]``.
        rows: int64 ``[C]`` row of the image.
    """

    feature: I64
    probe: I64
    signs: Words
    facts: Records
    rows: I64


def probes_for(features: int, lists: int) -> int:
    """Return the number of lists to search for each feature of a query.

    Args:
        features: in the index.
        lists: of the index.
    """
    mean = max(features / lists, 1e-9)
    return int(np.clip(_CODES_PER_FEATURE / mean, _LEAST_PROBES, _MOST_PROBES))


def nearest_codes(
    pieces: Sequence[Piece],
    rows: Sequence[I64],
    quantiser: Quantiser,
    descriptors: U8,
    *,
    k: int,
    probes: int,
    threads: Executor | None = None,
) -> Neighbours:
    """Search the ``k`` nearest coded features of each feature of a query.

    Args:
        pieces: of one inverted file.
        rows: int64 ``[images of the piece]`` for each piece: the row of each image in the result;
            below 0 for images that are not searched.
        quantiser: of the pieces.
        descriptors: uint8 ``[M, D]`` of the query.
        k: neighbours per feature.
        probes: lists searched per feature.
        threads: that share the features of the query; None: the caller's thread.
    """
    projected = quantiser.project(descriptors)
    probed = quantiser.probe(projected, probes)
    sizes = sum(
        (piece.bounds[probed.lists + 1] - piece.bounds[probed.lists]).sum(axis=1)
        for piece in pieces
    )

    def search(part: slice) -> tuple[_Near, F64]:
        lists = probed.lists[part]
        near = _near_codes(pieces, rows, quantiser, projected[part], lists, start=part.start)
        return near, _distances(near, quantiser, projected, probed)

    blocks = _blocks(np.asarray(sizes, dtype=np.int64), len(projected))
    parts = list(threads.map(search, blocks) if threads else map(search, blocks))
    if not parts:
        return _nearest_of(_nothing(quantiser), np.empty(0), len(projected), k)
    near = _Near(
        *(np.concatenate(column) for column in zip(*(one for one, _ in parts), strict=True))
    )
    distances = np.concatenate([distances for _, distances in parts])
    return _nearest_of(near, distances, len(projected), k)


def _blocks(sizes: I64, count: int) -> list[slice]:
    """Divide the features of a query into runs that compare with about 2^17 codes each."""
    if not count or not sizes.ndim:
        return []
    block = np.cumsum(sizes) // _CODES_AT_ONCE
    starts = np.flatnonzero(np.diff(block, prepend=-1)).tolist()
    return [slice(start, stop) for start, stop in zip(starts, [*starts[1:], count], strict=True)]


def _near_codes(
    pieces: Sequence[Piece],
    rows: Sequence[I64],
    quantiser: Quantiser,
    projected: F32,
    lists: I64,
    *,
    start: int,
) -> _Near:
    """Compare some features of a query, the first of which is ``start``, with codes of all pieces.

    All codes up to the Hamming distance of the 32nd are kept, so that the pieces' order is no
    matter.
    """
    count, probes = lists.shape
    residual = projected[:, None, :] - quantiser.centroids[lists]
    own = np.packbits(residual @ quantiser.rotation > 0, axis=2).view("<u8")
    own = own.reshape(count * probes, -1)
    compared = [
        _compare(piece, row, own, lists.ravel()) for piece, row in zip(pieces, rows, strict=True)
    ]
    width = quantiser.code_bytes * 8 + 1
    first_cells = np.repeat(np.arange(count, dtype=np.int32) * width, probes)
    cells = sum(
        np.bincount(np.repeat(first_cells, one.sizes) + one.hamming, minlength=count * width)
        for one in compared
    )
    reached = np.cumsum(np.reshape(cells, (count, width)), axis=1)
    cutoff = np.repeat((reached < _EXAMINED).sum(axis=1).astype(np.uint16), probes)
    parts = []
    for piece, row, one in zip(pieces, rows, compared, strict=True):
        kept = np.flatnonzero(one.hamming <= np.repeat(cutoff, one.sizes))
        pair = np.searchsorted(np.cumsum(one.sizes), kept, side="right")
        place = one.places[kept]
        facts = piece.features[place]
        feature, probe = np.divmod(pair, probes)
        parts.append(
            (start + feature, probe, piece.signs[place], facts, rows_of_images(row, facts))
        )
    return _Near(*(np.concatenate(column) for column in zip(*parts, strict=True)))


class _Compared(NamedTuple):
    """Codes of one piece in the lists of some features, feature by feature and list by list.

    Attributes:
        sizes: int64 ``[features x lists]`` number of codes in each list.
        places: int64 ``[C]`` of the codes in the piece.
        hamming: uint16 ``[C]`` Hamming distance from the feature's own code in that list.
    """

    sizes: I64
    places: I64
    hamming: npt.NDArray[np.uint16]


def _compare(piece: Piece, row: I64, own: Words, lists: I64) -> _Compared:
    """Compare codes of features, one for each of their lists, with the codes of these lists."""
    low = piece.bounds[lists]
    sizes = piece.bounds[lists + 1] - low
    ends = np.cumsum(sizes)
    places = np.repeat(low - (ends - sizes), sizes)
    places += np.arange(len(places))
    if row.min(initial=0) < 0:
        searched = rows_of_images(row, piece.features[places]) >= 0
        pair = np.repeat(np.arange(len(lists)), sizes)[searched]
        sizes = np.bincount(pair, minlength=len(lists))
        places = places[searched]
    differing = np.take(np.asarray(piece.signs), places, axis=0)  # indexing takes thrice as long
    differing ^= np.repeat(own, sizes, axis=0)
    bits = np.bitwise_count(differing)
    hamming = bits[:, 0].astype(np.uint16)
    for word in range(1, bits.shape[1]):  # numpy is slow at many sums of two numbers
        hamming += bits[:, word]
    return _Compared(sizes, places, hamming)


def _distances(near: _Near, quantiser: Quantiser, projected: F32, probed: Probes) -> F64:
    """Estimate squared distances between features and codes, float64 ``[C]``."""
    lists = probed.lists[near.feature, near.probe]
    residual = projected[near.feature] - quantiser.centroids[lists]
    rotated = residual @ quantiser.rotation
    bits = np.unpackbits(near.signs.view(np.uint8), axis=1)
    # Sums of integers: exact in float64, whatever their order.
    product = np.einsum("cb,cb->c", bits, rotated, dtype=np.float64) * 2.0
    product -= rotated.sum(axis=1, dtype=np.float64)
    length = near.facts["length"].astype(np.float64)
    fit = np.maximum(near.facts["fit"], _SMALLEST_FIT) / 255.0
    inner = length * product / (fit * quantiser.gain * np.sqrt(bits.shape[1]))
    to_centroid = probed.distances[near.feature, near.probe].astype(np.float64)
    return np.asarray(np.maximum(to_centroid + length**2 - 2.0 * inner, 0.0), dtype=np.float64)


def _nearest_of(near: _Near, distances: F64, count: int, k: int) -> Neighbours:
    """Keep the k nearest codes of each of ``count`` features; ties by row of the image."""
    order = np.lexsort((near.rows, distances, near.feature))
    feature = near.feature[order]
    rank = np.arange(len(order)) - np.searchsorted(feature, feature)
    order = order[rank < k]
    at = (near.feature[order], rank[rank < k])
    result = Neighbours(
        np.full((count, k), np.inf, dtype=np.float32),
        np.zeros((count, k), dtype=np.int64),
        np.zeros((count, k), dtype=np.float32),
        np.ones((count, k), dtype=np.float32),
    )
    facts = near.facts[order]
    result.distances[at] = distances[order]
    result.images[at] = near.rows[order]
    result.angles[at] = angles_of(facts["angle"])
    result.scales[at] = scales_of(facts["scale"])
    return result


def _nothing(quantiser: Quantiser) -> _Near:
    none = np.empty(0, dtype=np.int64)
    words = np.empty((0, quantiser.code_bytes // 8), dtype="<u8")
    return _Near(none, none, words, np.empty(0, dtype=FEATURE), none)
