"""Coded index of the local features of a large collection, in memory or in a folder.

It consists of pieces (:mod:`asl.matching.candidates.coded_piece`) that never change and are
memory-mapped. Images are added as new pieces (:mod:`asl.matching.candidates.piece_writer`); those
that are gone are masked. An image is known by its key, a hash of what it is.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asl.matching.candidates.coded_neighbours import nearest_codes, probes_for
from asl.matching.candidates.feature_values import NEIGHBOURS, LocalFeatures, Neighbours
from asl.matching.candidates.piece_files import KEY, KeyedPiece, Keys
from asl.matching.candidates.piece_writer import (
    FEATURES_PER_IMAGE,
    LOCK,
    PieceWriter,
    code_images,
    is_dense,
)
from asl.matching.candidates.quantiser import Quantiser, load_quantiser
from asl.notices import notice
from asl.parallel import usable_cores
from asl.storage import exclusive_lock
from asl.types import I64, U8, AslError

_PIECE_FEATURES = 2**21  # features from which a piece is written while images are still added
_CODED_FEATURES = 2**15  # features that are coded at once
_QUIET_SECONDS = 3.0  # of waiting for another process without a word
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
        threads: that share the features of a query; None: the caller's thread.
    """

    pieces: Sequence[KeyedPiece]
    rows: Sequence[I64]
    references: int
    quantiser: Quantiser
    probes: int
    threads: Executor | None = None

    @classmethod
    def of(
        cls,
        pieces: Sequence[KeyedPiece],
        rows: Sequence[I64],
        references: int,
        quantiser: Quantiser,
        threads: Executor | None = None,
    ) -> CodedLocalIndex:
        """Search pieces with the number of lists that suits the features of their references."""
        searched = sum(
            len(keyed.piece) * float(np.mean(row >= 0)) if len(row) else 0.0
            for keyed, row in zip(pieces, rows, strict=True)
        )
        probes = probes_for(round(searched), quantiser.lists)
        return cls(pieces, rows, references, quantiser, probes, threads)

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
            pieces,
            self.rows,
            self.quantiser,
            descriptors,
            k=NEIGHBOURS,
            probes=self.probes,
            threads=self.threads,
        )


def coded_local_index(
    keys: Sequence[bytes],
    read: ReadFeatures,
    *,
    folder: Path | None = None,
    quantiser: Quantiser | None = None,
    replaced: Callable[[], None] | None = None,
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
        replaced: called where many images that are no references leave the index.

    Raises:
        AslError: two references have the same key, or another process has changed the index for a
            day.
    """
    if len(set(keys)) < len(keys):
        raise AslError("local features: two references have the same key")
    quantiser = quantiser or load_quantiser()
    if folder is None:
        writer = PieceWriter(None, [], quantiser)
        _update(writer, keys, read, quantiser)
        return select_pieces(writer.pieces, keys, quantiser)
    writer = PieceWriter.open(folder, quantiser)
    if not _is_current(writer.pieces, keys):  # who only reads needs no lock
        with ExitStack() as held:
            _lock(folder, held)
            writer = PieceWriter.open(folder, quantiser)
            wanted = np.array(keys, dtype=KEY)
            if replaced and not all(_is_dense_in(wanted, keyed) for keyed in writer.pieces):
                replaced()
            _update(writer, keys, read, quantiser)
    return select_pieces(writer.pieces, keys, quantiser)


def _lock(folder: Path, held: ExitStack) -> None:
    """Wait for other processes that change an index, and say so once it takes long.

    Raises:
        AslError: one has changed it for a day.
    """
    busy = f"{folder}: another process changes this index of local features"
    try:
        held.enter_context(exclusive_lock(folder / LOCK, busy=busy, wait=_QUIET_SECONDS))
    except AslError:
        notice(f"{busy}; waiting for it")
        busy = f"{busy}; wait for it"
        held.enter_context(exclusive_lock(folder / LOCK, busy=busy, wait=_WAIT_SECONDS))


def _is_current(pieces: Sequence[KeyedPiece], keys: Sequence[bytes]) -> bool:
    """Report whether pieces have all images of these keys, and few others."""
    wanted = np.array(keys, dtype=KEY)
    return bool(np.isin(wanted, known_keys(pieces)).all()) and all(
        _is_dense_in(wanted, keyed) for keyed in pieces
    )


def _is_dense_in(wanted: Keys, keyed: KeyedPiece) -> bool:
    return is_dense(np.isin(keyed.keys, wanted))


def known_keys(pieces: Sequence[KeyedPiece]) -> Keys:
    """Return the keys of all images of some pieces."""
    return np.concatenate([np.empty(0, KEY), *(keyed.keys for keyed in pieces)])


def _update(
    writer: PieceWriter, keys: Sequence[bytes], read: ReadFeatures, quantiser: Quantiser
) -> None:
    """Prune images of other keys, and add those that are missing."""
    wanted = np.array(keys, dtype=KEY)
    writer.prune(lambda keyed: np.isin(keyed.keys, wanted))
    missing = np.flatnonzero(~np.isin(wanted, known_keys(writer.pieces))).tolist()
    for pieces in _coded(wanted, missing, read, quantiser):
        writer.add(pieces)


def _coded(
    wanted: Keys, missing: Sequence[int], read: ReadFeatures, quantiser: Quantiser
) -> Iterator[list[KeyedPiece]]:
    """Code missing images; yield small pieces that make up one of full size together."""
    small: list[KeyedPiece] = []
    for piece in _small_pieces(wanted, missing, read, quantiser):
        small.append(piece)
        if sum(len(one.piece) for one in small) >= _PIECE_FEATURES:
            yield small
            small = []
    if small:
        yield small


def _small_pieces(
    wanted: Keys, missing: Sequence[int], read: ReadFeatures, quantiser: Quantiser
) -> Iterator[KeyedPiece]:
    """Code missing images, some at a time on every core, in order."""
    cores = usable_cores()
    waiting: deque[Future[KeyedPiece]] = deque()
    with ThreadPoolExecutor(cores, thread_name_prefix="code") as pool:
        try:
            for positions, images in _batches(missing, read(missing)):
                waiting.append(pool.submit(code_images, images, wanted[positions], quantiser))
                if len(waiting) > cores:
                    yield waiting.popleft().result()
        except (Exception, KeyboardInterrupt):  # what was read so far is kept
            yield from (future.result() for future in waiting)
            raise
        yield from (future.result() for future in waiting)


def _batches(
    missing: Sequence[int], features: Iterable[LocalFeatures | None]
) -> Iterator[tuple[list[int], list[LocalFeatures]]]:
    """Yield the readable images in batches of about 2^15 features, with their positions."""
    positions: list[int] = []
    images: list[LocalFeatures] = []
    count = 0
    for position, image in zip(missing, features, strict=True):
        if image is None:
            continue
        positions.append(position)
        images.append(image.largest(FEATURES_PER_IMAGE))
        count += len(images[-1])
        if count >= _CODED_FEATURES:
            yield positions, images
            positions, images = [], []
            count = 0
    if images:
        yield positions, images


def select_pieces(
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
    return CodedLocalIndex.of(pieces, rows, len(keys), quantiser)
