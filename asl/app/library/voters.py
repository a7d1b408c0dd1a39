"""Let the local features of contents vote, in this process or in several that map one index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from asl.app.library.sift_file import SiftFile
from asl.matching.candidates.coded_local_index import CodedLocalIndex, select_pieces
from asl.matching.candidates.local_features import readings
from asl.matching.candidates.piece_files import read_pieces
from asl.matching.candidates.quantiser import load_quantiser
from asl.matching.candidates.votes import FeatureIndex, rank_by_votes
from asl.matching.values import Settings
from asl.parallel import spawned_map
from asl.types import F32, I64, AslError

# As it is and mirrored; a negative among one's own photos is rare, and costs half as much again.
READINGS = 2
# In a coded index, i.e. of many contents. Both contents of a pair vote for each other: fewer
# features and lists than a query's have, which find the same pairs in half of the time.
VOTING_FEATURES = 128  # of largest diameter
PROBES = 8  # lists searched for each of them
QUERIES_PER_PROCESS = 200  # for which starting another process pays
_CHUNK = 8  # contents that are sent to a process together
_CHUNKS_AHEAD = 8  # chunks in the works for each process


@dataclass(frozen=True, eq=False)
class KeptIndex:
    """A coded index in a folder, which other processes can map, too.

    Attributes:
        folder: of the index.
        keys: of the references, by row.
        checksums: of its pieces: others have been written since where these differ.
    """

    folder: Path
    keys: tuple[bytes, ...]
    checksums: tuple[str, ...]

    @classmethod
    def of(cls, index: FeatureIndex, folder: Path, keys: Sequence[bytes]) -> KeptIndex | None:
        """Describe an index; None for one that is not in the folder, or not whole."""
        if not isinstance(index, CodedLocalIndex) or any(
            keyed.checksums is None for keyed in index.pieces
        ):
            return None
        return cls(folder, tuple(keys), _checksums(index))

    def open(self) -> CodedLocalIndex:
        """Map the index.

        Raises:
            AslError: it has changed since it was described, or is damaged.
        """
        quantiser = load_quantiser()
        pieces = read_pieces(self.folder, quantiser, check_files=False)
        index = select_pieces(pieces, self.keys, quantiser)
        if _checksums(index) != self.checksums:
            raise AslError(
                f"{self.folder}: another process has changed this index of local features in the "
                "meantime; run the scan again"
            )
        return index


def _checksums(index: CodedLocalIndex) -> tuple[str, ...]:
    return tuple(str(sorted((keyed.checksums or {}).items())) for keyed in index.pieces)


class Voter:
    """Content -> references by its votes; a pickled copy maps the same index."""

    def __init__(
        self, store: SiftFile, k: int, index: FeatureIndex, kept: KeptIndex | None
    ) -> None:
        """Set what votes.

        Args:
            store: with the features of the contents.
            k: references of each content.
            index: of the references.
            kept: where the index is kept; None where this process alone has it.
        """
        self.kept = kept
        self._store, self._k = store, k
        self._index = index
        if isinstance(index, CodedLocalIndex):
            self._index = replace(index, probes=min(index.probes, PROBES))

    def __reduce__(self) -> tuple[object, ...]:
        if self.kept is None:
            raise TypeError("an index in memory")
        return _opened, (self._store, self._k, self.kept)

    def __call__(self, digest: str) -> tuple[I64, F32]:
        """Return rows of references and their votes, most first."""
        features = self._store.voting(digest, Settings())
        if isinstance(self._index, CodedLocalIndex):
            features = features.largest(VOTING_FEATURES)
        return rank_by_votes(self._index, readings(features)[:READINGS], self._k)

    def close(self) -> None:
        """Close the store."""
        self._store.close()


def _opened(store: SiftFile, k: int, kept: KeptIndex) -> Voter:
    return Voter(store, k, kept.open(), kept)


def all_votes(voter: Voter, digests: Sequence[str], *, workers: int) -> Iterator[tuple[I64, F32]]:
    """Yield rows and votes of every content, in order.

    Args:
        voter: of the contents.
        digests: of the contents.
        workers: most processes; an index in memory is searched by this one (FAISS runs threads).
    """
    processes = min(workers, 1 + len(digests) // QUERIES_PER_PROCESS)
    if voter.kept is None or processes <= 1:
        with closing(voter):
            yield from map(voter, digests)
        return
    yield from spawned_map(
        voter, digests, processes=processes, chunk=_CHUNK, ahead=_CHUNKS_AHEAD, what="the index"
    )
