"""Copy detector for Python: add references, query with an image, read matches.

>>> from asl import CopyDetector                                      # doctest: +SKIP
>>> detector = CopyDetector()                                         # doctest: +SKIP
>>> detector.add("photos")                                            # doctest: +SKIP
>>> for match in detector.query("suspect.jpg"):                       # doctest: +SKIP
...     print(match.reference, match.probability, match.direction)    # doctest: +SKIP
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, Self, get_args

from asl.app.candidate_comparer import CandidateComparer
from asl.app.library.add_outcome import AddOutcome
from asl.app.library.facts import Facts
from asl.app.library.image_forms import ImageInput, is_image
from asl.app.library.image_store import ImageStore
from asl.app.library.ingest import Ingestor
from asl.app.library.library_model import library_model
from asl.app.library.records import Name, Source
from asl.app.library.reference_index import ReferenceIndex
from asl.app.library.reference_names import with_free_names
from asl.app.library.sources import read_queries, read_sources
from asl.app.matches import Added, Answer, Match, Matches, least_shown
from asl.app.pairs.pair_verifier import PairVerifier
from asl.app.query import Query
from asl.app.scanning.pair_prospects import prospects_of
from asl.counts import counted
from asl.data.images import MAX_PIXELS
from asl.features.regions import regions_of
from asl.matching.decision.thresholds import threshold_for
from asl.model_names import packaged_name
from asl.models.opening import ModelInput
from asl.shared_defaults import LOCAL_CANDIDATES, NEIGHBOURS, PRECISION
from asl.types import AslError, Progress, UsageError

Compare = Literal["all", "promising"]
FILE = "library.sqlite"
ADD_BATCH = 128  # references that become searchable at a time


class CopyDetector:
    """Find the originals and copies of an image among references.

    References are kept in memory, or in a folder that survives the process. Several threads may
    add, remove and query at once. Several processes may open one folder; each finds what the others
    add when it opens the folder again.
    """

    def __init__(
        self,
        model: ModelInput | None = None,
        *,
        folder: str | Path | None = None,
        precision: float = PRECISION,
        device: str = "auto",
        engine: str = "auto",
        max_pixels: int = MAX_PIXELS,
        regions: str = "coarse",
        local_candidates: int = LOCAL_CANDIDATES,
        compare: Compare = "all",
        isolate: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """Load a model, and the references of the folder where there is one.

        Args:
            model: ``asl_lite1``, ``asl_lite0`` (come with the package), a path, or an embedder.
                None: the packaged one that made the folder; ``asl_lite1`` for a new folder.
            folder: where references are kept; created if missing. None keeps them in memory.
            precision: share of accepted matches that are right.
            device: ``auto``, ``cpu``, ``cuda``.
            engine: search engine: ``auto``, ``faiss``, ``exact``.
            max_pixels: larger images are refused.
            regions: regions embedded beside the whole image, so that small crops and pasted
                pictures are found: ``none``, ``coarse`` (6), ``fine`` (15). Each takes 4 D bytes.
            local_candidates: references by local features, compared beside the ``k``, so that small
                crops and collages are found; 0 is quicker.
            compare: ``all`` candidates, or the ``promising`` ones, whose cosine is high or of which
                five local features agree with the query, by the rule of large scans; models
                without a rule compare all.
            isolate: decode every image, not only costly ones, in a process that can be ended.
            progress: called with (done, to do) while what the folder lacks is made: regions of
                references that were added with others, then local features.

        Raises:
            AslError: there is no such model, or the folder was made with another one (it is named).
            UsageError: no such set of regions, precision or ``compare``, or ``local_candidates`` is
                below 0.
        """
        if compare not in get_args(Compare):
            raise UsageError(
                f"compare: must be one of {', '.join(get_args(Compare))}; got {compare}"
            )
        if local_candidates < 0:
            raise UsageError(f"local_candidates: must be 0 or more, got {local_candidates}")
        self.threshold = threshold_for(precision)
        self.folder = None if folder is None else Path(folder)
        file = self.folder and self.folder / FILE
        model = library_model(file, model)
        self._ingestor = Ingestor(
            model, device=device, max_pixels=max_pixels, regions=regions, isolate=isolate
        )
        self._store = self._ingestor.open_store(file)
        self._writing = threading.Lock()
        self._verifier = PairVerifier(self._store.thumbnail)
        self._references = ReferenceIndex(
            self._store,
            self._ingestor,
            regions=len(regions_of(regions)),
            engine=engine,
            local_candidates=local_candidates,
            progress=progress,
        )
        self._comparer = CandidateComparer(
            self._store,
            self._references,
            self._verifier,
            score=self._ingestor.score,
            threshold=self.threshold,
            rule=prospects_of(self._ingestor.hash) if compare == "promising" else None,
        )

    def __repr__(self) -> str:
        what = f"{counted(len(self), 'reference')} in {self.folder or 'memory'}"
        return f"<CopyDetector: {what}, {self.model}, threshold {self.threshold:.3g}>"

    def __len__(self) -> int:
        return len(self._references)

    def __contains__(self, name: object) -> bool:
        return name in self._references.names

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the folder; the detector can no longer be used."""
        self._comparer.close()
        with self._writing:
            self._references.close()
            self._store.close()

    @property
    def model(self) -> str:
        """Name of the packaged model, or the hash of another one."""
        return packaged_name(self._ingestor.hash) or self._ingestor.hash

    @property
    def names(self) -> list[str]:
        """Names of all references, oldest first."""
        return list(self._references.names)

    @property
    def store(self) -> ImageStore:
        """Store that holds the references."""
        return self._store

    def check(self) -> None:
        """Compare all that is in the folder with its checksums.

        Raises:
            ReadError: something is damaged.
        """
        self._store.check()
        self._references.check()

    def describe(self, name: str) -> tuple[Name, Facts]:
        """Return name record (digest, label) and file facts of one reference.

        Raises:
            AslError: there is no such reference.
        """
        described = self.describe_many([name])
        if not described:
            raise AslError(f"{name!r}: there is no reference of that name")
        return described[0]

    def describe_many(self, names: Sequence[str]) -> list[tuple[Name, Facts]]:
        """Describe several references; unknown names, and those removed meanwhile, are left out."""
        return self._references.describe(names)

    def labelled(self, text: str) -> list[str]:
        """Names of the references whose label (or else name) contains a text, in any case."""
        return self._references.labelled(text)

    def picture(self, name: str) -> bytes:
        """Return the JPEG thumbnail of a reference; empty for an unknown name."""
        return self._references.picture(name)

    def add(
        self,
        images: ImageInput | Iterable[ImageInput],
        *,
        names: str | Sequence[str] | None = None,
        progress: Progress | None = None,
    ) -> Added:
        """Add references.

        A file that was added before and has changed replaces its old content; unchanged content is
        not embedded again. Another file of the same name (``2019/IMG_1.jpg`` and
        ``2020/IMG_1.jpg``) is another reference: it gets its folder into its name. Names that are
        given with ``names`` are used as they are, and replace what had them
        (:attr:`Added.replaced`).

        Args:
            images: a folder, a file, a pattern (``photos/**/*.jpg``), a list of paths (``.txt``,
                ``.csv``), an archive; or an image in another form: encoded bytes, a binary
                stream, a Pillow image, an array ``[H, W]``, ``[H, W, 3]`` (RGB) or ``[H, W, 4]``
                of uint8 or of floats in 0..1, a torch tensor with the channels first; or several
                files or images in a list, set or generator.
            names: one per image; required for images that are no files. By default a file is named
                by its path inside the folder, or by its file name.
            progress: called with (images done, images to do).

        Raises:
            UsageError: names are missing or duplicate, or there is no such file.
        """
        sources, total = read_sources(images, names)
        if names is None:
            sources = with_free_names(sources, self._references.names)
        return self.add_sources(sources, total, progress=progress)

    def add_sources(
        self, sources: Iterable[Source], total: int, *, progress: Progress | None = None
    ) -> Added:
        """Add sources, whose names must differ.

        Args:
            sources: read while they are added.
            total: number of sources at most, for the progress.
            progress: called with (sources done, ``total``).
        """
        outcome = AddOutcome()
        # One writer: names, store and index must agree.
        with self._writing:
            try:
                for number, result in enumerate(self._ingestor.run(sources, self._store), start=1):
                    if result.failure:
                        outcome.fail(result, self._drop(result.source.name))
                    else:
                        outcome.waiting.append(result)
                    if len(outcome.waiting) >= ADD_BATCH:
                        self._accept(outcome)
                    if progress:
                        progress(number, total)
                if progress:
                    progress(total, total)
            finally:
                # Stored references must be searchable, also if a source raised.
                self._accept(outcome)
                # Only now: until then other threads search the old contents.
                self._store.sweep(outcome.old_digests)
        return Added(
            tuple(outcome.changed),
            tuple(outcome.same),
            tuple(outcome.failures),
            tuple(outcome.replaced),
        )

    def _accept(self, outcome: AddOutcome) -> None:
        """Make stored references searchable."""
        # A name that came twice has one content, the last.
        changed = dict.fromkeys(outcome.take(self._references.digest))
        found = [name for name in map(self._store.find, changed) if name is not None]
        self._references.add(found)

    def _drop(self, name: str) -> str:
        """Remove a reference that became unreadable: its old content is not what the name holds.

        Returns:
            The digest of the old content; empty without one.
        """
        digest = self._references.digest(name)
        self._references.remove([name])
        self._store.remove([name])
        return digest

    def remove(self, names: str | Sequence[str]) -> int:
        """Remove references; return the number of them that existed."""
        removed = [names] if isinstance(names, str) else list(names)
        with self._writing:
            self._references.remove(removed)
            return self._store.remove(removed)

    def query(
        self,
        image: ImageInput,
        *,
        k: int = NEIGHBOURS,
        min_probability: float | None = None,
        seconds: float = math.inf,
    ) -> Matches:
        """Find the references that an image is a copy of, or that are copies of it; surest first.

        Args:
            image: a file, or an image in any form that :meth:`add` takes.
            k: number of candidates by embeddings that are verified, beside those by local features.
            min_probability: matches below are left out; 0 returns all candidates, None those that
                are accepted or more likely right than wrong.
            seconds: after which no candidate but the first ten is compared any more.

        Returns:
            A list; in a notebook it shows the pictures.

        Raises:
            ImageError: the image cannot be used.
            UsageError: ``k`` is below 1, or ``min_probability`` above it.
        """
        end = time.monotonic() + seconds
        least = least_shown(k, min_probability, self.threshold)
        if not is_image(image):
            raise UsageError(
                f"query: takes one image, got {type(image).__name__}; use query_many for several"
            )
        return self._find(self._embed(image), k, least, end)

    def _embed(self, image: ImageInput) -> Query:
        return Query.from_image(image, self._ingestor, self._verifier)

    def _find(self, query: Query, k: int, least: float, end: float = math.inf) -> Matches:
        compared = self._comparer.compare(query, k, end)
        matches = [match for match in compared if match and match.probability >= least]
        matches.sort(key=lambda match: (-match.probability, -match.score, match.reference))
        return Matches(matches, query.thumbnail, self.picture, len(compared))

    def query_many(
        self,
        images: ImageInput | Iterable[ImageInput],
        *,
        names: str | Sequence[str] | None = None,
        k: int = NEIGHBOURS,
        min_probability: float | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Answer]:
        """Answer several queries, one after the other.

        Args:
            images: files or images in any form that :meth:`add` takes.
            names: one per image; by default those of files as in :meth:`add`, and the place in the
                sequence (``0``, ``1`` ...) for images that are no files.
            k: as in :meth:`query`.
            min_probability: as in :meth:`query`.
            progress: called with (queries done, queries to do).

        Returns:
            One answer per image, in order, as it is read; an unusable image says why.

        Raises:
            UsageError: there is no such file, names do not fit, or a number is out of range.
        """
        least = least_shown(k, min_probability, self.threshold)
        sources, total = read_queries(images, names)
        return self._answers(sources, total, k, least, progress)

    def _answers(
        self,
        sources: Iterator[Source],
        total: int,
        k: int,
        least: float,
        progress: Progress | None,
    ) -> Iterator[Answer]:
        for number, source in enumerate(sources, start=1):
            try:
                query = self._embed(source.data)
            except AslError as error:
                reason = getattr(error, "reason", str(error))  # the answer has the name beside it
                yield Answer(source.name, Matches([], b"", self.picture), reason)
            else:
                yield Answer(source.name, self._find(query, k, least))
            if progress:
                progress(number, total)

    def save(self, folder: str | Path) -> Path:
        """Copy the references to a new folder, to open with ``CopyDetector(folder=...)``.

        Raises:
            AslError: the folder has a library already.
        """
        target = Path(folder) / FILE
        with self._writing:
            self._store.copy_to(target)
            self._references.copy_to(target)
        return target


__all__ = ["Added", "CopyDetector", "Match"]
