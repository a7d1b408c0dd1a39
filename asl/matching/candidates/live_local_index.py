"""Coded index of local features that is searched while it changes.

New images are in memory, one piece, until there are enough of them for a piece in the folder. The
first that opens a folder writes there; another one keeps what it adds in memory, as does one that
cannot lock the folder. Whoever was killed lost the images in memory: :meth:`LiveLocalIndex.keep`
names them when it is opened again.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from asl.matching.candidates.coded_local_index import CodedLocalIndex, known_keys
from asl.matching.candidates.coded_piece import joined_runs
from asl.matching.candidates.feature_values import LocalFeatures
from asl.matching.candidates.local_features import votes_of
from asl.matching.candidates.piece_files import KEY, KeyedPiece, write_manifest, write_piece
from asl.matching.candidates.piece_writer import (
    LOCK,
    PieceWriter,
    code_images,
    joined_in_memory,
)
from asl.matching.candidates.quantiser import load_quantiser
from asl.parallel import usable_cores
from asl.storage import exclusive_lock
from asl.types import I64, AslError, Bools

_IN_MEMORY = "local features of new images are kept in memory, and extracted again the next time"
IMAGES_IN_MEMORY = 256  # at most, before they are written to the folder


class LiveLocalIndex:
    """Local features by key; one writer at a time, any number of readers, each on a snapshot."""

    def __init__(self, folder: Path | None) -> None:
        """Open an index, or begin one; a damaged one counts as empty.

        Args:
            folder: of the index; None keeps it in memory.
        """
        self._quantiser = load_quantiser()
        self._held = ExitStack()
        cores = usable_cores()
        self._threads = ThreadPoolExecutor(cores, "vote") if cores > 1 else None
        own = folder
        pieces: list[KeyedPiece] = []
        if folder is not None:
            try:
                lock = exclusive_lock(
                    folder / LOCK, busy=str(folder), wait=0, unprotected=_IN_MEMORY
                )
                if not self._held.enter_context(lock):
                    own = None
            except AslError:  # another process writes there
                own = None
            pieces = PieceWriter.open(folder, self._quantiser).pieces
        self._writer = PieceWriter(own, pieces, self._quantiser)
        self._recent: KeyedPiece | None = None  # in memory
        self._masked: set[bytes] = set()
        self._rows: list[I64] = []  # of the writer's pieces
        self._number_images()
        self._view = self._snapshot()

    def __len__(self) -> int:
        """Number of images that are not masked."""
        return self._images() - len(self._masked)

    def keep(self, keys: Sequence[bytes]) -> list[int]:
        """Forget the images of other keys; return the positions of the keys that are lacking."""
        wanted = np.array(keys, dtype=KEY)
        known = known_keys(self._pieces())
        self._masked = set(known[~np.isin(known, wanted)].tolist())
        self._prune()
        return np.flatnonzero(~np.isin(wanted, known)).tolist()

    def add(self, keys: Sequence[bytes], images: Sequence[LocalFeatures]) -> None:
        """Add images that the index does not have.

        Args:
            keys: ``n`` different ones.
            images: their features.
        """
        stored = np.array(keys, dtype=KEY)
        again = [key in self._masked for key in stored.tolist()]
        self._masked.difference_update(stored.tolist())  # features of a key are always the same
        new = [image for image, is_known in zip(images, again, strict=True) if not is_known]
        if new:
            coded = code_images(new, stored[~np.array(again)], self._quantiser)
            self._recent = _joined([self._recent, coded] if self._recent else [coded])
            if self._recent.piece.images >= IMAGES_IN_MEMORY:
                self._write_recent()
        if any(again):
            self._number_images()
        self._view = self._snapshot()

    def remove(self, keys: Sequence[bytes]) -> None:
        """Forget images that the index has."""
        self._masked.update(np.array(keys, dtype=KEY).tolist())
        self._prune()

    def vote(self, query: LocalFeatures, k: int) -> list[bytes]:
        """Return the keys of the images that share most features with a query, at most k."""
        index = self._view
        rows, _ = votes_of(index, query, k)
        starts = np.cumsum([0, *(keyed.piece.images for keyed in index.pieces)])
        places = np.searchsorted(starts, rows, side="right") - 1
        found = [
            index.pieces[place].keys[row - starts[place]]
            for row, place in zip(rows.tolist(), places.tolist(), strict=True)
        ]
        return [bytes(key).ljust(KEY.itemsize, b"\0") for key in found]

    def flush(self) -> None:
        """Write what is in memory to the folder."""
        if self._recent is not None:
            self._write_recent()
            self._view = self._snapshot()

    def copy_to(self, folder: Path) -> None:
        """Write the whole index to another folder, as one piece.

        Raises:
            WriteError: nothing may be written there.
        """
        pieces = self._pieces()
        if not pieces:
            return
        kept = [self._kept(keyed) for keyed in pieces]
        keys = np.concatenate([one.keys[stays] for one, stays in zip(pieces, kept, strict=True)])
        bounds, runs = joined_runs([one.piece for one in pieces], kept)
        copied = write_piece(folder, 1, bounds, runs, keys, self._quantiser)
        write_manifest(folder, [copied], self._quantiser)

    def close(self) -> None:
        """Write what is in memory, and let others write to the folder."""
        self.flush()
        self._held.close()
        if self._threads is not None:
            self._threads.shutdown()

    def _pieces(self) -> list[KeyedPiece]:
        return [*self._writer.pieces, *([self._recent] if self._recent else [])]

    def _images(self) -> int:
        return sum(keyed.piece.images for keyed in self._pieces())

    def _kept(self, keyed: KeyedPiece) -> Bools:
        """Images of a piece that are not masked, bool ``[R]``."""
        if not self._masked:
            return np.ones(len(keyed.keys), np.bool_)
        return ~np.isin(keyed.keys, np.array(list(self._masked), dtype=KEY))

    def _prune(self) -> None:
        """Mask images, and write pieces without them where they are many."""
        before = list(self._writer.pieces)
        self._writer.prune(self._kept)
        if self._writer.pieces != before:
            masked = [keyed.keys[~self._kept(keyed)].tolist() for keyed in self._pieces()]
            self._masked = {key for keys in masked for key in keys}
        self._number_images()
        self._view = self._snapshot()

    def _write_recent(self) -> None:
        if self._recent is not None:
            self._writer.add([self._recent])
            self._recent = None
            self._number_images()

    def _number_images(self) -> None:
        """Number the images of the writer's pieces, one after the other; -1 for masked ones."""
        self._rows, first = [], 0
        for keyed in self._writer.pieces:
            self._rows.append(self._numbered(keyed, first))
            first += keyed.piece.images

    def _numbered(self, keyed: KeyedPiece, first: int) -> I64:
        numbers = first + np.arange(keyed.piece.images, dtype=np.int64)
        return np.where(self._kept(keyed), numbers, -1)

    def _snapshot(self) -> CodedLocalIndex:
        pieces, rows = self._pieces(), list(self._rows)
        if self._recent is not None:
            first = sum(keyed.piece.images for keyed in self._writer.pieces)
            rows.append(self._numbered(self._recent, first))
        return CodedLocalIndex.of(pieces, rows, self._images(), self._quantiser, self._threads)


def _joined(pieces: Sequence[KeyedPiece]) -> KeyedPiece:
    return joined_in_memory(pieces, [np.ones(len(one.keys), np.bool_) for one in pieces])
