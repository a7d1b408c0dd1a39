"""One piece of a coded inverted file: the codes of the local features of some images, by list."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asl.matching.candidates.feature_values import LocalFeatures
from asl.matching.candidates.quantiser import Codes, Quantiser
from asl.types import F32, I64, U8, AslError, Bools

# What is known of an indexed feature beside the signs of its residual: 8 bytes.
FEATURE = np.dtype(
    [
        ("image", "<u4"),  # row of its image in the piece
        ("length", "u1"),  # of the residual
        ("fit", "u1"),  # cosine between the rotated residual and its signs, times 255
        ("angle", "u1"),  # 256 steps of a turn
        ("scale", "u1"),  # 16 steps per factor of two, from 2^-4 pixels
    ]
)
_ANGLE_STEPS = 256
_OCTAVE_STEPS = 16
_LOWEST_OCTAVE = -4
_FEATURES_AT_ONCE = 2**22  # in memory while pieces are joined
Words = npt.NDArray[np.uint64]
Records = npt.NDArray[np.void]
Run = tuple[Words, Records]  # signs and features of some consecutive lists


@dataclass(frozen=True, eq=False)
class Piece:
    """Features of R images, ordered by list, then by image; the arrays may be memory-mapped.

    Attributes:
        bounds: int64 ``[L + 1]``; the features of list l are ``bounds[l]:bounds[l + 1]``.
        signs: uint64 ``[N, W]`` signs of the rotated residuals.
        features: :data:`FEATURE` ``[N]``.
        images: number of images, R.
    """

    bounds: I64
    signs: Words
    features: Records
    images: int

    def __len__(self) -> int:
        return len(self.features)

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.bounds.nbytes + self.signs.nbytes + self.features.nbytes


def encode_piece(images: Sequence[LocalFeatures], quantiser: Quantiser) -> Piece:
    """Code the features of some images.

    Raises:
        AslError: descriptors of another length than the quantiser's.
    """
    empty = np.empty((0, quantiser.dim), np.uint8)
    codes = quantiser.encode(np.concatenate([empty, *(image.descriptors for image in images)]))
    return piece_of(
        codes,
        np.array([len(image) for image in images], dtype=np.int64),
        _joined([image.scales for image in images]),
        _joined([image.angles for image in images]),
        quantiser,
    )


def piece_of(codes: Codes, counts: I64, scales: F32, angles: F32, quantiser: Quantiser) -> Piece:
    """Make a piece of coded features.

    Args:
        codes: of N features, image by image.
        counts: int64 ``[R]`` features of each image.
        scales: float32 ``[N]`` diameter in pixels.
        angles: float32 ``[N]`` degrees.
        quantiser: of the codes.
    """
    features = np.empty(len(codes.lists), dtype=FEATURE)
    features["image"] = np.repeat(np.arange(len(counts)), counts)
    features["length"], features["fit"] = codes.lengths, codes.fits
    features["angle"], features["scale"] = _angle_steps(angles), _scale_steps(scales)
    order = np.argsort(codes.lists, kind="stable")
    return Piece(
        _bounds_of(np.bincount(codes.lists, minlength=quantiser.lists)),
        np.ascontiguousarray(codes.bits[order]).view("<u8"),
        features[order],
        len(counts),
    )


def joined_runs(pieces: Sequence[Piece], kept: Sequence[Bools]) -> tuple[I64, Iterator[Run]]:
    """Join pieces without some of their images, a run of lists at a time.

    Args:
        pieces: images of the first come first.
        kept: bool ``[R]`` for each piece: its images that stay; they are numbered anew.

    Returns:
        ``bounds`` of the joined piece, and its signs and features in runs.
    """
    lists = len(pieces[0].bounds) - 1
    total = np.sum([piece.bounds for piece in pieces], axis=0)
    steps = np.arange(0, total[-1], _FEATURES_AT_ONCE)
    starts = np.searchsorted(total, steps, side="right") - 1
    edges = np.unique([0, *starts.tolist(), lists])
    runs = list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
    rows, first = [], 0
    for keep in kept:
        rows.append(np.where(keep, first + np.cumsum(keep) - 1, -1))
        first += int(keep.sum())
    if all(keep.all() for keep in kept):
        bounds = np.asarray(total, dtype=np.int64)
    else:
        sizes = [
            np.bincount(_run(pieces, rows, start, stop)[0], minlength=stop - start)
            for start, stop in runs
        ]
        bounds = _bounds_of(np.concatenate(sizes))
    return bounds, ((run[1], run[2]) for run in (_run(pieces, rows, *edge) for edge in runs))


def _run(
    pieces: Sequence[Piece], rows: Sequence[I64], start: int, stop: int
) -> tuple[I64, Words, Records]:
    """Return lists (from ``start`` on), signs and features of the images with a row, in order."""
    lists: list[I64] = []
    signs: list[Words] = []
    features: list[Records] = []
    for piece, row in zip(pieces, rows, strict=True):
        part = slice(int(piece.bounds[start]), int(piece.bounds[stop]))
        facts = np.array(piece.features[part])
        facts_row = rows_of_images(row, facts)
        stays = facts_row >= 0
        facts["image"] = np.maximum(facts_row, 0)
        sizes = np.diff(piece.bounds[start : stop + 1])
        lists.append(np.repeat(np.arange(stop - start), sizes)[stays])
        signs.append(piece.signs[part][stays])
        features.append(facts[stays])
    of = np.concatenate(lists)
    order = np.argsort(of, kind="stable")  # images of earlier pieces stay first
    return of[order], np.concatenate(signs)[order], np.concatenate(features)[order]


def rows_of_images(rows: I64, facts: Records) -> I64:
    """Return the entry of ``rows`` for the image of each feature.

    Raises:
        AslError: the features name an image that the piece does not have.
    """
    images = facts["image"]
    if len(images) and images.max() >= len(rows):
        raise AslError(
            f"local features: damaged (image {images.max()} of {len(rows)}); delete their index, "
            "it is built again"
        )
    return np.asarray(rows[images], dtype=np.int64)


def _angle_steps(angles: F32) -> U8:
    turns = np.rint(angles * (_ANGLE_STEPS / 360.0)).astype(np.int64)
    return np.asarray(turns % _ANGLE_STEPS, dtype=np.uint8)


def angles_of(steps: U8) -> F32:
    """Return the angles in degrees that :data:`FEATURE` holds as steps."""
    return steps.astype(np.float32) * np.float32(360.0 / _ANGLE_STEPS)


def _scale_steps(scales: F32) -> U8:
    octaves = np.log2(np.maximum(scales, 1e-3)) - _LOWEST_OCTAVE
    return np.asarray(np.clip(np.rint(octaves * _OCTAVE_STEPS), 0, 255), dtype=np.uint8)


def scales_of(steps: U8) -> F32:
    """Return the diameters in pixels that :data:`FEATURE` holds as steps."""
    octaves = steps.astype(np.float32) / np.float32(_OCTAVE_STEPS) + np.float32(_LOWEST_OCTAVE)
    return np.asarray(np.exp2(octaves), dtype=np.float32)


def _joined(columns: Sequence[F32]) -> F32:
    return np.concatenate([np.empty(0, np.float32), *columns])


def _bounds_of(counts: I64) -> I64:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
