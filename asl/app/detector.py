"""A copy detector for people: add references, ask about an image, read matches.

>>> from asl import CopyDetector                                      # doctest: +SKIP
>>> detector = CopyDetector()                                         # doctest: +SKIP
>>> detector.add("photos")                                            # doctest: +SKIP
>>> for match in detector.query("suspect.jpg"):                       # doctest: +SKIP
...     print(match.reference, match.probability, match.direction)    # doctest: +SKIP
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from asl.app.library.facts import Facts
from asl.app.library.image_store import ImageStore
from asl.app.library.ingest import Intake, Source
from asl.app.library.records import Name
from asl.app.library.sources import ImageInput, encoded, read_sources
from asl.app.library.vectors import Collection, View
from asl.app.matches import Added, Match
from asl.app.pair_verifier import PairVerifier
from asl.app.query import Candidate, Query, compare
from asl.data.images import MAX_PIXELS
from asl.features.regions import regions_of
from asl.matching.decision.thresholds import DEFAULT_PRECISION, threshold_for
from asl.models import Embedder
from asl.types import AslError, UsageError

FILE = "library.sqlite"
_MANY = 4096  # references that are put into the index at once
Progress = Callable[[int, int], None]


class CopyDetector:
    """Finds what an image was made from, among references that can be added and removed at any time.

    References are kept in memory, or in a folder that survives the process. Several threads may
    add, remove and query at once.
    """

    def __init__(
        self,
        model: str | Path | Embedder = "asl_lite0",
        *,
        folder: str | Path | None = None,
        precision: float = DEFAULT_PRECISION,
        device: str = "auto",
        engine: str = "auto",
        max_pixels: int = MAX_PIXELS,
        regions: str = "coarse",
        progress: Progress | None = None,
    ) -> None:
        """Load a model, and the references of the folder where there is one.

        Args:
            model: ``asl_lite0`` (comes with the package, nothing is downloaded), the path of a
                trained model, or an embedder.
            folder: where references are kept; made if it is not there. None: in memory.
            precision: share of accepted matches that shall be right.
            device: ``auto``, ``cpu``, ``cuda``.
            engine: of the search: ``auto``, ``faiss``, ``exact``.
            max_pixels: larger images are refused.
            regions: parts of the images that are searched beside the whole, so that small crops and
                pasted pictures are found: ``none``, ``coarse`` (5 crops and a thumbnail), ``fine``
                (14 and a thumbnail). A reference takes 4 D bytes of memory for the whole and for
                each part: 36 KB with ``coarse`` and the packaged model.
            progress: called with (references done, references to do) while the folder's references
                get parts that they do not have yet, having been added with other regions.

        Raises:
            AslError: no such model, or the folder was made with another one.
            UsageError: no such regions, or no such precision.
        """
        self.threshold = threshold_for(precision)
        self._intake = Intake(model, device=device, max_pixels=max_pixels, regions=regions)
        self.folder = None if folder is None else Path(folder)
        self._store = self._intake.open_store(None if self.folder is None else self.folder / FILE)
        self._vectors = Collection(self._intake.dim, parts=len(regions_of(regions)), engine=engine)
        self._writing = threading.Lock()
        self._names: dict[str, Name] = {}
        self._judge = PairVerifier(self._store.picture)
        self._load(progress)

    def _load(self, progress: Progress | None) -> None:
        """Put everything usable of the store into the index."""
        self._store.sweep()  # earlier versions kept what had been replaced
        names = self._store.names()
        broken = self._store.failures(sorted({name.digest for name in names}))
        self._names = {name.name: name for name in names if name.digest not in broken}
        self._intake.embed_parts(
            self._store, [name.digest for name in self._names.values()], progress=progress
        )
        self._vectors.reserve(len(self._names))
        self._publish(list(self._names.values()))

    def _publish(self, names: Sequence[Name]) -> None:
        """Put references of the store into the index, some at a time."""
        for start in range(0, len(names), _MANY):
            group = names[start : start + _MANY]
            digests = [name.digest for name in group]
            parts = None
            if self._intake.regions:
                # Another process with other regions may have been first to add a content.
                self._intake.embed_parts(self._store, digests)
                parts = np.swapaxes(self._store.parts(self._intake.regions, digests), 0, 1)
            features = self._store.features(digests)
            self._names.update({name.name: name for name in group})
            self._vectors.add([name.name for name in group], features, parts)

    def __len__(self) -> int:
        return len(self._vectors)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the folder."""
        self._store.close()

    @property
    def names(self) -> list[str]:
        """Names of all references, oldest first."""
        return list(self._names)

    @property
    def store(self) -> ImageStore:
        """What is kept of the references."""
        return self._store

    def describe(self, name: str) -> tuple[Name, Facts]:
        """Content, label, size in pixels ... of one reference.

        Raises:
            AslError: there is no such reference.
        """
        found = self.describe_many([name])
        if not found:
            raise AslError(f"{name!r}: there is no reference of that name")
        return found[0]

    def describe_many(self, names: Sequence[str]) -> list[tuple[Name, Facts]]:
        """:meth:`describe` for several names; those that are not there are left out."""
        found = [self._names[name] for name in names if name in self._names]
        facts = self._store.facts([name.digest for name in found])
        return [(name, facts[name.digest]) for name in found if name.digest in facts]

    def picture(self, name: str) -> bytes:
        """A small JPEG of a reference; empty where there is none of that name."""
        found = self._names.get(name)
        return self._store.picture(found.digest) if found else b""

    def add(
        self,
        images: ImageInput | Sequence[ImageInput],
        *,
        names: str | Sequence[str] | None = None,
        progress: Progress | None = None,
    ) -> Added:
        """Add references. A name that is there already gets the new content; the same content is not embedded again.

        Args:
            images: a folder, a file, a list of paths (``.txt``, ``.csv``), an archive, encoded
                bytes, a uint8 ``[H, W, 3]`` RGB array, a Pillow image, or a sequence of files,
                bytes, arrays and Pillow images.
            names: one per image; needed for bytes, arrays and Pillow images. Files are named by
                their path inside the folder, or by their own name.
            progress: called with (images done, images to do).

        Raises:
            UsageError: names that are missing or stand twice, or no such file.
        """
        return self.add_sources(*read_sources(images, names), progress=progress)

    def add_sources(
        self, sources: Iterable[Source], total: int, *, progress: Progress | None = None
    ) -> Added:
        """:meth:`add` for sources, whose names must differ; where they are fewer than ``total``, it ends there, too."""
        done: list[tuple[str, str]] = []
        failures: list[tuple[str, str]] = []
        replaced: list[str] = []
        # One writer: names, store and index must agree.
        with self._writing:
            try:
                for number, taken in enumerate(self._intake.run(sources, self._store), start=1):
                    name = taken.source.name
                    if taken.failure:
                        failures.append((taken.source.label or name, taken.failure))
                        replaced.append(self._digest(name))
                        self._drop(name)
                    else:
                        done.append((name, taken.digest))
                    if progress:
                        progress(number, total)
                if progress:
                    progress(total, total)
            finally:
                # What the store has by now must be found, also where a source broke off.
                changed = tuple(name for name, digest in done if self._digest(name) != digest)
                same = tuple(name for name, digest in done if self._digest(name) == digest)
                replaced += [self._digest(name) for name in changed]
                self._publish([name for name in map(self._store.find, changed) if name is not None])
                # Only now: until then others search for the old contents.
                self._store.sweep(replaced)
        return Added(changed, same, tuple(failures))

    def _digest(self, name: str) -> str:
        known = self._names.get(name)
        return known.digest if known else ""

    def _drop(self, name: str) -> None:
        """A reference that could not be read anew must not linger under its old content."""
        self._vectors.remove([name])
        self._names.pop(name, None)
        self._store.remove([name])

    def remove(self, names: str | Sequence[str]) -> int:
        """Forget references; returns how many there were of those names."""
        wanted = [names] if isinstance(names, str) else list(names)
        with self._writing:
            self._vectors.remove(wanted)
            for name in wanted:
                self._names.pop(name, None)
            return self._store.remove(wanted)

    def query(
        self, image: ImageInput, *, k: int = 10, min_probability: float | None = None
    ) -> list[Match]:
        """References that an image was made from, or that were made from it; the surest first.

        Args:
            image: a file, encoded bytes, a uint8 ``[H, W, 3]`` RGB array, or a Pillow image.
            k: how many candidates of the index are looked at.
            min_probability: less probable candidates are left out; 0 gives all of them, None those
                that are more likely wrong than right and not accepted.

        Raises:
            ImageError: the image cannot be used.
            UsageError: ``k`` below 1.
        """
        if k < 1:
            raise UsageError(f"k: must be 1 or more, got {k}")
        least = min(0.5, self.threshold) if min_probability is None else min_probability
        query = Query.of(encoded(image), self._intake, self._judge)
        view, rows = self._vectors.nearest(query.looks, k)
        found = [self._match(query, view, row) for row in rows.tolist()]
        kept = [match for match in found if match is not None and match.probability >= least]
        return sorted(kept, key=lambda match: (-match.probability, -match.score, match.reference))

    def _match(self, query: Query, view: View, row: int) -> Match | None:
        name = view.keys[row]
        known = self._names.get(name)
        if known is None:  # removed while this query ran
            return None
        try:
            facts = self._store.facts([known.digest])[known.digest]
            candidate = Candidate(
                name, known.digest, facts, view.vectors[row], float(view.log_norms[row])
            )
            return compare(
                query, candidate, self._judge, score=self._intake.score, threshold=self.threshold
            )
        except (AslError, KeyError):
            if self._names.get(name) is known:
                raise
            return None  # removed or replaced while this query ran

    def save(self, folder: str | Path) -> Path:
        """Copy the references to a new folder, to be opened with ``CopyDetector(folder=...)``.

        Raises:
            AslError: there is one already.
        """
        target = Path(folder) / FILE
        self._store.copy_to(target)
        return target


__all__ = ["Added", "CopyDetector", "Match"]
