"""Add images to the pieces of a coded index of local features, and leave images out of them.

Pieces never change. New ones are joined with the last ones of like size, so that there are few; one
of which more than a quarter is masked is written again without those images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from asl.matching.candidates.coded_piece import Piece, encode_piece, joined_runs
from asl.matching.candidates.feature_values import LocalFeatures
from asl.matching.candidates.piece_files import (
    KeyedPiece,
    Keys,
    read_pieces,
    write_manifest,
    write_piece,
)
from asl.matching.candidates.quantiser import Quantiser
from asl.storage import ReadError, WriteError
from asl.types import Bools

FEATURES_PER_IMAGE = 200  # of largest diameter; smaller ones cost more memory than they find copies
LOCK = "write.lock"  # held by whoever changes a folder of pieces
_LIKE_SIZE = 2  # a piece up to twice as large as the next one is joined with it
_MOST_MASKED = 0.25  # of the images of a piece
Kept = Callable[[KeyedPiece], Bools]  # images of a piece that stay, bool [R]


def code_images(images: Sequence[LocalFeatures], keys: Keys, quantiser: Quantiser) -> KeyedPiece:
    """Code the largest features of some images as a piece in memory."""
    largest = [features.largest(FEATURES_PER_IMAGE) for features in images]
    return KeyedPiece(encode_piece(largest, quantiser), keys)


def is_dense(kept: Bools) -> bool:
    """Report whether at most a quarter of a piece is masked."""
    return bool(np.count_nonzero(~kept) <= _MOST_MASKED * len(kept))


class PieceWriter:
    """The one writer of an index.

    Attributes:
        pieces: of the index, those of the earliest images first.
    """

    def __init__(
        self, folder: Path | None, pieces: Sequence[KeyedPiece], quantiser: Quantiser
    ) -> None:
        """Continue an index.

        Args:
            folder: where new pieces are written; None keeps them in memory.
            pieces: of the index so far.
            quantiser: of their codes.
        """
        self.pieces = list(pieces)
        self._folder = folder
        self._quantiser = quantiser
        self._last = max((keyed.number for keyed in pieces), default=0)

    @classmethod
    def open(cls, folder: Path, quantiser: Quantiser) -> PieceWriter:
        """Open an index; a damaged one counts as empty."""
        try:
            pieces = read_pieces(folder, quantiser, check_files=False)
        except ReadError:
            pieces = []
        return cls(folder, pieces, quantiser)

    def prune(self, kept: Kept) -> None:
        """Leave masked images out of the pieces of which they are more than a quarter."""
        pruned = []
        for keyed in self.pieces:
            stays = kept(keyed)
            if is_dense(stays):
                pruned.append(keyed)
            elif stays.any():
                pruned.append(self._join([keyed], [stays]))
        if pruned != self.pieces:
            self.pieces = pruned
            self._commit()

    def add(self, new: Sequence[KeyedPiece]) -> None:
        """Join new pieces with the last ones as long as these are of like size."""
        joined = list(new)
        total = sum(len(keyed.piece) for keyed in joined)
        while self.pieces and len(self.pieces[-1].piece) <= _LIKE_SIZE * total:
            total += len(self.pieces[-1].piece)
            joined.insert(0, self.pieces.pop())
        everything = [np.ones(len(one.keys), np.bool_) for one in joined]
        self.pieces.append(self._join(joined, everything))
        self._commit()

    def _join(self, pieces: Sequence[KeyedPiece], kept: Sequence[Bools]) -> KeyedPiece:
        """Join pieces without some of their images, in the folder where it may be written."""
        if self._folder is not None:
            self._last += 1
            keys = np.concatenate(
                [one.keys[stays] for one, stays in zip(pieces, kept, strict=True)]
            )
            bounds, runs = joined_runs([one.piece for one in pieces], kept)
            try:
                return write_piece(self._folder, self._last, bounds, runs, keys, self._quantiser)
            # A library may be read-only, and another process write there if nothing can be locked.
            except (WriteError, ReadError):
                self._folder = None
        return joined_in_memory(pieces, kept)

    def _commit(self) -> None:
        if self._folder is not None:
            try:
                write_manifest(self._folder, self.pieces, self._quantiser)
            except WriteError:
                self._folder = None


def joined_in_memory(pieces: Sequence[KeyedPiece], kept: Sequence[Bools]) -> KeyedPiece:
    """Join pieces without some of their images to one in memory."""
    keys = np.concatenate([one.keys[stays] for one, stays in zip(pieces, kept, strict=True)])
    bounds, runs = joined_runs([one.piece for one in pieces], kept)
    signs, features = zip(*runs, strict=True)
    piece = Piece(bounds, np.concatenate(signs), np.concatenate(features), len(keys))
    return KeyedPiece(piece, keys)
