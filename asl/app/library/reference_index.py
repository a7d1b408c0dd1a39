"""References of a library that can be searched: names, vectors and local features."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import chain, zip_longest
from pathlib import Path
from typing import NamedTuple

import numpy as np

from asl.app.library.facts import Facts
from asl.app.library.image_store import ImageStore
from asl.app.library.ingest import Ingestor
from asl.app.library.records import Name
from asl.app.library.reference_votes import ReferenceVotes
from asl.app.library.vector_rows import MappedRows, VectorRows
from asl.app.library.vectors import VectorCollection, VectorView
from asl.matching.candidates.feature_values import LocalFeatures
from asl.types import F32, I64, AslError, Bools, Progress

PUBLISH_BATCH = 4096  # references put into the index at a time


class Retrieved(NamedTuple):
    """Candidates of a query.

    Attributes:
        view: that was searched.
        rows: int64 ``[n]`` of the view, best first.
        voted: bool ``[n]``, found by local features.
    """

    view: VectorView
    rows: I64
    voted: Bools


class ReferenceIndex:
    """Usable references of a store, by name; one writer at a time, any number of readers.

    Attributes:
        names: every reference by its name, oldest first.
    """

    def __init__(
        self,
        store: ImageStore,
        ingestor: Ingestor,
        *,
        regions: int,
        engine: str,
        local_candidates: int,
        progress: Progress | None = None,
    ) -> None:
        """Read the references of a store; what they lack is extracted first.

        Args:
            store: of the references.
            ingestor: embeds the regions that the store lacks.
            regions: number of regions of an image.
            engine: search engine of the vectors.
            local_candidates: candidates of a query by local features; 0 keeps no local features.
            progress: called with (done, to do) while regions, then local features are extracted.
        """
        self.names: dict[str, Name] = {}
        self._store, self._ingestor = store, ingestor
        self._vectors = VectorCollection(
            ingestor.dim, regions=regions, engine=engine, rows=_rows_of(store, ingestor, regions)
        )
        self._local_candidates = local_candidates
        self._votes = ReferenceVotes(store) if local_candidates else None
        store.sweep()  # earlier versions left replaced contents behind
        names = store.names()
        failures = store.failures(sorted({name.digest for name in names}))
        usable = [name for name in names if name.digest not in failures]
        ingestor.embed_regions(store, [name.digest for name in usable], progress=progress)
        if self._votes:
            self._votes.open(usable, progress=progress)
        self.names = {name.name: name for name in usable}
        lacking = self._vectors.restore(list(self.names), [name.digest for name in usable])
        self._vectors.reserve(len(lacking))
        self._add_vectors([usable[position] for position in lacking])

    def __len__(self) -> int:
        return len(self._vectors)

    def digest(self, name: str) -> str:
        """Return the digest of a reference; empty for an unknown name."""
        known = self.names.get(name)
        return known.digest if known else ""

    def add(self, names: Sequence[Name]) -> None:
        """Put references of the store into the index, in place of others of the same names."""
        replaced = [self.names[name.name] for name in names if name.name in self.names]
        if self._votes:  # first: who finds a reference by its vectors has its votes, too
            self._votes.add(names)
        self._add_vectors(names)
        if self._votes:
            self._votes.remove(replaced)

    def _add_vectors(self, names: Sequence[Name]) -> None:
        for start in range(0, len(names), PUBLISH_BATCH):
            batch = names[start : start + PUBLISH_BATCH]
            digests = [name.digest for name in batch]
            regions = None
            if self._ingestor.regions:
                # Another process with other regions may have added a content first.
                self._ingestor.embed_regions(self._store, digests)
                stored = self._store.region_features(self._ingestor.regions, digests)
                regions = np.swapaxes(stored, 0, 1)
            features = self._store.features(digests)
            self.names.update({name.name: name for name in batch})
            self._vectors.add([name.name for name in batch], features, regions, digests=digests)

    def remove(self, names: Sequence[str]) -> None:
        """Remove references; unknown names are ignored."""
        known = [self.names[name] for name in dict.fromkeys(names) if name in self.names]
        self._vectors.remove(names)
        for name in names:
            self.names.pop(name, None)
        if self._votes:
            self._votes.remove(known)

    def nearest(self, query: F32, features: LocalFeatures, k: int) -> Retrieved:
        """Retrieve the candidates of a query: k by vectors, and some by local features.

        Both kinds take turns: which is better is not known before they are compared.

        Args:
            query: float32 ``[1 + S, D]`` unit rows: the whole image, then its regions.
            features: of the query.
            k: candidates by vectors.
        """
        view, near = self._vectors.nearest(query, k)
        voted: list[int] = []
        if self._votes:
            voted = self._vectors.rows(view, self._votes.nearest(features, self._local_candidates))
        turns = chain.from_iterable(zip_longest(near.tolist(), voted))
        rows = np.array(list(dict.fromkeys(row for row in turns if row is not None)), np.int64)
        return Retrieved(view, rows, np.isin(rows, voted))

    def describe(self, names: Sequence[str]) -> list[tuple[Name, Facts]]:
        """Return names and file facts of references; unknown and removed ones are left out."""
        known = [record for name in names if (record := self.names.get(name))]
        facts = self._store.facts([name.digest for name in known])
        return [(name, facts[name.digest]) for name in known if name.digest in facts]

    def labelled(self, text: str) -> list[str]:
        """Names of the references whose label (or else name) contains a text, in any case."""
        needle = text.casefold()
        return [
            name.name
            for name in list(self.names.values())
            if needle in (name.label or name.name).casefold()
        ]

    def picture(self, name: str) -> bytes:
        """Return the JPEG thumbnail of a reference; empty for an unknown name."""
        digest = self.digest(name)
        return self._store.thumbnail(digest) if digest else b""

    def check(self) -> None:
        """Compare the files beside the store with their checksums.

        Raises:
            ReadError: one is damaged.
        """
        self._vectors.check()
        if self._votes:
            self._votes.check()

    def copy_to(self, store: Path) -> None:
        """Write what is beside the store beside another one."""
        if self._votes:
            self._votes.copy_to(store)

    def close(self) -> None:
        """Write what is still in memory."""
        self._vectors.close()
        if self._votes:
            self._votes.close()


def _rows_of(store: ImageStore, ingestor: Ingestor, regions: int) -> VectorRows:
    """Rows in files beside a store on disk; in memory where another process has them."""
    if store.path is not None:
        with suppress(OSError, AslError):
            return MappedRows(
                store.path.with_name(f"{store.path.stem}-vectors"),
                model=store.model,
                dim=store.dim,
                regions=regions,
                key=ingestor.regions,
            )
    return VectorRows(ingestor.dim, regions)
