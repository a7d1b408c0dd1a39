"""A copy detector for people: add references, ask about an image, read matches.

>>> from asl import CopyDetector                                      # doctest: +SKIP
>>> detector = CopyDetector()                                         # doctest: +SKIP
>>> detector.add("photos")                                            # doctest: +SKIP
>>> for match in detector.query("suspect.jpg"):                       # doctest: +SKIP
...     print(match.reference, match.probability, match.direction)    # doctest: +SKIP
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from asl.app.collection import Collection
from asl.app.facts import Facts
from asl.app.inputs import ImageInput, encoded, read_sources
from asl.app.intake import Intake, Source
from asl.app.judge import SAME, Judge, Judgement
from asl.app.matches import Added, Match
from asl.app.origin import find_origin
from asl.app.store import ImageStore, Name
from asl.app.thresholds import DEFAULT_PRECISION, threshold_for
from asl.data.images import MAX_PIXELS
from asl.matching.prepare import Prepared
from asl.models import Embedder
from asl.scoring.score import from_cosines
from asl.types import F32, AslError, UsageError

FILE = "library.sqlite"
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class _Query:
    digest: str
    feature: F32
    facts: Facts
    prepared: Prepared


class CopyDetector:
    """Finds what an image was made from, among references that can be added and removed at any time.

    References are kept in memory, or in a folder that survives the process. Several threads may add, remove and
    query at once.
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
    ) -> None:
        """Load a model, and the references of the folder where there is one.

        Args:
            model: ``asl_lite0`` (comes with the package, nothing is downloaded), the path of a trained model, or an
                embedder.
            folder: where references are kept; made if it is not there. None: in memory.
            precision: share of accepted matches that shall be right.
            device: ``auto``, ``cpu``, ``cuda``.
            engine: of the search: ``auto``, ``faiss``, ``exact``.
            max_pixels: larger images are refused.

        Raises:
            AslError: no such model, or the folder was made with another one.
        """
        self.threshold = threshold_for(precision)
        self._intake = Intake(model, device=device, max_pixels=max_pixels)
        self.folder = None if folder is None else Path(folder)
        self._store = self._intake.open_store(None if self.folder is None else self.folder / FILE)
        self._vectors = Collection(self._intake.dim, engine=engine)
        self._writing = threading.Lock()
        self._names: dict[str, Name] = {}
        self._judge = Judge(self._store.picture)
        self._load()

    def _load(self) -> None:
        """Put everything usable of the store into the index."""
        names = self._store.names()
        broken = self._store.failures(sorted({name.digest for name in names}))
        self._names = {name.name: name for name in names if name.digest not in broken}
        listed = list(self._names.values())
        for start in range(0, len(listed), 4096):
            part = listed[start : start + 4096]
            features = self._store.features([name.digest for name in part])
            self._vectors.add([name.name for name in part], features)

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
            images: a folder, a file, a list of paths (``.txt``, ``.csv``), an archive, encoded bytes, a uint8
                ``[H, W, 3]`` RGB array, a Pillow image, or a sequence of files, bytes, arrays and Pillow images.
            names: one per image; needed for bytes, arrays and Pillow images. Files are named by their path inside the
                folder, or by their own name.
            progress: called with (images done, images to do).

        Raises:
            UsageError: names that are missing or stand twice, or no such file.
        """
        return self.add_sources(*read_sources(images, names), progress=progress)

    def add_sources(self, sources: Iterable[Source], total: int, *, progress: Progress | None = None) -> Added:
        """:meth:`add` for sources, whose names must differ."""
        done: list[tuple[str, str]] = []
        failures: list[tuple[str, str]] = []
        # One writer: names, store and index must agree.
        with self._writing:
            for number, taken in enumerate(self._intake.run(sources, self._store), start=1):
                name = taken.source.name
                if taken.failure:
                    failures.append((taken.source.label or name, taken.failure))
                    self._drop(name)
                else:
                    done.append((name, taken.digest))
                if progress:
                    progress(number, total)
            changed = [(name, digest) for name, digest in done if self._digest(name) != digest]
            same = tuple(name for name, digest in done if self._digest(name) == digest)
            self._publish(changed)
        return Added(tuple(name for name, _ in changed), same, tuple(failures))

    def _digest(self, name: str) -> str:
        known = self._names.get(name)
        return known.digest if known else ""

    def _drop(self, name: str) -> None:
        """A reference that could not be read anew must not linger under its old content."""
        self._store.remove([name])
        self._vectors.remove([name])
        self._names.pop(name, None)

    def _publish(self, changed: Sequence[tuple[str, str]]) -> None:
        for start in range(0, len(changed), 4096):
            part = changed[start : start + 4096]
            features = self._store.features([digest for _, digest in part])
            for name, _ in part:
                found = self._store.find(name)
                if found is not None:
                    self._names[name] = found
            self._vectors.add([name for name, _ in part], features)

    def remove(self, names: str | Sequence[str]) -> int:
        """Forget references; returns how many there were of those names."""
        wanted = [names] if isinstance(names, str) else list(names)
        with self._writing:
            self._vectors.remove(wanted)
            for name in wanted:
                self._names.pop(name, None)
            return self._store.remove(wanted)

    def query(self, image: ImageInput, *, k: int = 10, min_probability: float = 0.5) -> list[Match]:
        """References that an image was made from, or that were made from it; the surest first.

        Args:
            image: a file, encoded bytes, a uint8 ``[H, W, 3]`` RGB array, or a Pillow image.
            k: how many candidates of the index are looked at.
            min_probability: less probable candidates are left out; 0 gives all of them.

        Raises:
            ImageError: the image cannot be used.
            UsageError: ``k`` below 1.
        """
        if k < 1:
            raise UsageError(f"k: must be 1 or more, got {k}")
        query = self._look(encoded(image))
        norm = float(np.linalg.norm(query.feature.astype(np.float64)))
        if not (np.isfinite(norm) and norm > 0):
            raise AslError("query: the model gives this image no direction")
        view, cosines, rows = self._vectors.nearest((query.feature / norm)[None].astype(np.float32), k)
        found = []
        for row, cosine in zip(rows[0].tolist() if rows.size else [], cosines[0].tolist(), strict=True):
            if row < 0:
                continue
            match = self._match(query, float(np.log(norm)), view.keys[row], float(view.log_norms[row]), cosine)
            if match is not None and match.probability >= min_probability:
                found.append(match)
        return sorted(found, key=lambda match: (-match.probability, -match.score, match.reference))

    def _look(self, data: bytes) -> _Query:
        feature, facts, picture = self._intake.look(data)
        return _Query(hashlib.sha256(data).hexdigest(), feature, facts, self._judge.prepare(picture))

    def _match(self, query: _Query, norm: float, name: str, reference_norm: float, cosine: float) -> Match | None:
        known = self._names.get(name)
        if known is None:  # removed while this query ran
            return None
        try:
            judgement = self._compare(query, known.digest)
            facts = self._store.facts([known.digest])[known.digest]
        except (AslError, KeyError):
            if name in self._names:
                raise
            return None
        norms = np.float32(norm), np.float32(reference_norm)
        score = from_cosines(
            np.array([cosine], np.float64), np.array([norms[0]]), np.array([norms[1]]), self._intake.score
        )
        origin = find_origin(judgement, query.facts, facts, first_log_norm=norm, second_log_norm=reference_norm)
        direction = origin.direction.replace("second", "reference").replace("first", "query")
        return Match(
            reference=name,
            probability=judgement.probability,
            accepted=judgement.probability >= self.threshold,
            direction=direction,
            score=float(score[0]),
            cosine=cosine,
            query_log_norm=norm,
            reference_log_norm=reference_norm,
            why=origin.why,
            reason=judgement.reason,
            edits=judgement.edits,
            query_outline=judgement.first_outline,
            reference_outline=judgement.second_outline,
        )

    def _compare(self, query: _Query, digest: str) -> Judgement:
        if query.digest == digest:
            return SAME
        return self._judge.compare(query.prepared, digest)

    def save(self, folder: str | Path) -> Path:
        """Copy the references to a new folder, to be opened with ``CopyDetector(folder=...)``.

        Raises:
            AslError: there is one already.
        """
        target = Path(folder) / FILE
        self._store.copy_to(target)
        return target


__all__ = ["Added", "CopyDetector", "Match"]
