"""Coded index of the local features of a large collection, in memory or in a folder.

It consists of pieces (:mod:`asl.matching.candidates.coded_piece`) that never change and are
memory-mapped. Images are added as new pieces; pieces of like size are joined, so that there are
few. Images that are gone are masked, and left out when a quarter of a piece is masked. An image is
known by its key, a hash of what it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asl.matching.candidates.coded_neighbours import nearest_codes, probes_for
from asl.matching.candidates.coded_piece import Piece, encode_piece, joined_runs
from asl.matching.candidates.feature_values import NEIGHBOURS, LocalFeatures, Neighbours
from asl.matching.candidates.piece_files import (
    KEY,
    KeyedPiece,
    Keys,
    read_pieces,
    write_manifest,
    write_piece,
)
from asl.matching.candidates.quantiser import Quantiser, load_quantiser
from asl.storage import ReadError, WriteError, exclusive_lock
from asl.types import I64, U8, AslError, Bools

FEATURES_PER_IMAGE = 200  # of largest diameter; smaller ones cost more memory than they find copies
_PIECE_FEATURES = 2**21  # features from which a piece is written while images are still added
_CODED_FEATURES = 2**15  # features that are coded at once
_LIKE_SIZE = 2  # a piece up to twice as large as the next one is joined with it
_MOST_MASKED = 0.25  # of the images of a piece
_LOCK = "write.lock"
_WAIT_SECONDS = 24 * 3600.0  # for another process that reads a million images
CODES = ".codes"  # suffix of the folder of an index
ReadFeatures = Callable[[Sequence[int]], Iterable[LocalFeatures | None]]


def image_key(*facts: str) -> bytes:
    """Hash what identifies an image: 16 bytes."""
    return hashlib.blake2b("\n".join(facts).encode(), digest_size=KEY.itemsize).digest()


@dataclass(frozen=True, eq=False)
class CodedLocalIndex:
    """Coded local features of R references.

    Attributes:
        pieces: that hold them, perhaps among other images.
        rows: int64 ``[images of the piece]`` for each piece: row of each image among the
            references, -1 for an image that is none of them.
        references: number of references, R.
        quantiser: of the codes.
        probes: lists searched for each feature of a query.
    """

    pieces: Sequence[KeyedPiece]
    rows: Sequence[I64]
    references: int
    quantiser: Quantiser
    probes: int

    def __len__(self) -> int:
        """Number of features in the pieces."""
        return sum(len(keyed.piece) for keyed in self.pieces)

    @property
    def nbytes(self) -> int:
        """Bytes of the index."""
        return sum(keyed.piece.nbytes + keyed.keys.nbytes for keyed in self.pieces)

    def neighbours(self, descriptors: U8) -> Neighbours:
        """Search the nearest features of each of M descriptors, uint8 ``[M, D]``."""
        pieces = [keyed.piece for keyed in self.pieces]
        return nearest_codes(
            pieces, self.rows, self.quantiser, descriptors, k=NEIGHBOURS, probes=self.probes
        )


def coded_local_index(
    keys: Sequence[bytes],
    read: ReadFeatures,
    *,
    folder: Path | None = None,
    quantiser: Quantiser | None = None,
) -> CodedLocalIndex:
    """Bring an index up to date with its references, and open it.

    Only images that the index lacks are read; each piece is kept as soon as it is full, so that a
    stopped run resumes. A damaged index is built again; where nothing may be written, what is new
    stays in memory.

    Args:
        keys: of the R references (:func:`image_key`), all different.
        read: positions in ``keys`` -> features of these images, in order; None for an image that
            cannot be read: it is not indexed, and is asked for again the next time.
        folder: where the index is kept; None keeps it in memory.
        quantiser: of the codes; None for the packaged one.

    Raises:
        AslError: two references have the same key, or another process has changed the index for a
            day.
    """
    if len(set(keys)) < len(keys):
        raise AslError("local features: two references have the same key")
    quantiser = quantiser or load_quantiser()
    if folder is None:
        return _select(_Writer(None, [], quantiser).update(keys, read), keys, quantiser)
    writer = _Writer.open(folder, quantiser)
    if not writer.is_current(keys):  # who only reads needs no lock
        busy = f"{folder}: another process changes this index of local features; wait for it"
        with exclusive_lock(folder / _LOCK, busy=busy, wait=_WAIT_SECONDS):
            writer = _Writer.open(folder, quantiser)
            writer.update(keys, read)
    return _select(writer.pieces, keys, quantiser)


class _Writer:
    """The one writer of an index."""

    def __init__(
        self, folder: Path | None, pieces: Sequence[KeyedPiece], quantiser: Quantiser
    ) -> None:
        self.pieces = list(pieces)
        self._folder = folder
        self._quantiser = quantiser
        self._last = max((keyed.number for keyed in pieces), default=0)

    @classmethod
    def open(cls, folder: Path, quantiser: Quantiser) -> _Writer:
        """Open an index; a damaged one counts as empty."""
        try:
            pieces = read_pieces(folder, quantiser, check_files=False)
        except ReadError:
            pieces = []
        return cls(folder, pieces, quantiser)

    def is_current(self, keys: Sequence[bytes]) -> bool:
        """Report whether the index has all images of these keys, and few others."""
        wanted = np.array(keys, dtype=KEY)
        known = np.concatenate([np.empty(0, KEY), *(keyed.keys for keyed in self.pieces)])
        return bool(
            np.isin(wanted, known).all() and all(self._is_dense(one, wanted) for one in self.pieces)
        )

    @staticmethod
    def _is_dense(keyed: KeyedPiece, wanted: Keys) -> bool:
        masked = np.count_nonzero(~np.isin(keyed.keys, wanted))
        return bool(masked <= _MOST_MASKED * len(keyed.keys))

    def update(self, keys: Sequence[bytes], read: ReadFeatures) -> list[KeyedPiece]:
        """Prune images of other keys, add those that are missing; return the pieces."""
        wanted = np.array(keys, dtype=KEY)
        self._prune(wanted)
        known = np.concatenate([np.empty(0, KEY), *(keyed.keys for keyed in self.pieces)])
        missing = np.flatnonzero(~np.isin(wanted, known)).tolist()
        for pieces in self._coded(wanted, missing, read):
            self._add(pieces)
        return self.pieces

    def _prune(self, wanted: Keys) -> None:
        """Leave images out of the pieces of which more than a quarter is not wanted."""
        pruned = []
        for keyed in self.pieces:
            kept = np.isin(keyed.keys, wanted)
            if self._is_dense(keyed, wanted):
                pruned.append(keyed)
            elif kept.any():
                pruned.append(self._join([keyed], [kept]))
        if pruned != self.pieces:
            self.pieces = pruned
            self._commit()

    def _coded(
        self, wanted: Keys, missing: Sequence[int], read: ReadFeatures
    ) -> Iterator[list[KeyedPiece]]:
        """Code missing images; yield small pieces that make up one of full size together."""
        small: list[KeyedPiece] = []
        positions: list[int] = []
        images: list[LocalFeatures] = []
        for number, (position, features) in enumerate(
            zip(missing, read(missing), strict=True), start=1
        ):
            if features is not None:
                positions.append(position)
                images.append(features.largest(FEATURES_PER_IMAGE))
            is_last = number == len(missing)
            if images and (is_last or sum(map(len, images)) >= _CODED_FEATURES):
                small.append(KeyedPiece(encode_piece(images, self._quantiser), wanted[positions]))
                positions, images = [], []
            if small and (is_last or sum(len(one.piece) for one in small) >= _PIECE_FEATURES):
                yield small
                small = []

    def _add(self, new: list[KeyedPiece]) -> None:
        """Join new pieces with the last ones as long as these are of like size."""
        total = sum(len(keyed.piece) for keyed in new)
        while self.pieces and len(self.pieces[-1].piece) <= _LIKE_SIZE * total:
            total += len(self.pieces[-1].piece)
            new.insert(0, self.pieces.pop())
        self.pieces.append(self._join(new, [np.ones(len(one.keys), np.bool_) for one in new]))
        self._commit()

    def _join(self, pieces: Sequence[KeyedPiece], kept: Sequence[Bools]) -> KeyedPiece:
        """Join pieces without some of their images, in the folder where it may be written."""
        keys = np.concatenate([one.keys[keep] for one, keep in zip(pieces, kept, strict=True)])
        if self._folder is not None:
            self._last += 1
            bounds, runs = joined_runs([one.piece for one in pieces], kept)
            try:
                return write_piece(self._folder, self._last, bounds, runs, keys, self._quantiser)
            except WriteError:
                self._folder = None  # a library may be read-only
        bounds, runs = joined_runs([one.piece for one in pieces], kept)
        signs, features = zip(*runs, strict=True)
        piece = Piece(bounds, np.concatenate(signs), np.concatenate(features), len(keys))
        return KeyedPiece(piece, keys)

    def _commit(self) -> None:
        if self._folder is not None:
            try:
                write_manifest(self._folder, self.pieces, self._quantiser)
            except WriteError:
                self._folder = None


def _select(
    pieces: Sequence[KeyedPiece], keys: Sequence[bytes], quantiser: Quantiser
) -> CodedLocalIndex:
    """Number the images of some pieces as the references of these keys."""
    wanted = np.array(keys, dtype=KEY)
    order = np.argsort(wanted)
    rows = []
    for keyed in pieces:
        place = np.searchsorted(wanted, keyed.keys, sorter=order)
        row = order[np.minimum(place, len(wanted) - 1)] if len(wanted) else place
        found = wanted[row] == keyed.keys if len(wanted) else np.zeros(len(row), np.bool_)
        rows.append(np.where(found, row, -1).astype(np.int64))
    searched = sum(
        len(keyed.piece) * float(np.mean(row >= 0)) if len(row) else 0.0
        for keyed, row in zip(pieces, rows, strict=True)
    )
    probes = probes_for(round(searched), quantiser.lists)
    return CodedLocalIndex(pieces, rows, len(keys), quantiser, probes)
