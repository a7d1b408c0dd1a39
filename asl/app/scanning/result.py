"""Result of a scan."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from asl.app.library.facts import Facts
from asl.app.library.sync import SyncResult
from asl.app.library.thumbnails import ThumbnailFile
from asl.app.pairs.origin import Origin
from asl.app.pairs.pair_verdict import PairVerdict, reworded
from asl.app.scanning.groups import Edge, Group, star_groups


@dataclass(frozen=True, eq=False)
class ScanImage:
    """One content of a scan.

    Attributes:
        paths: absolute paths of its files, which are identical; the first one is shown.
        in_library: per file, True if it belongs to the library, False for the photos.
        digest: of the content.
        facts: of the files.
        log_norm: ln |f|.
    """

    paths: tuple[str, ...]
    in_library: tuple[bool, ...]
    digest: str
    facts: Facts
    log_norm: float

    def identical(self, *, across: bool) -> list[tuple[str, str]]:
        """List pairs (original, copy) of identical files.

        Args:
            across: only pairs of a library file and a photo.
        """
        if not across:
            return [(self.paths[0], path) for path in self.paths[1:]]
        sides = list(zip(self.paths, self.in_library, strict=True))
        library = [path for path, inside in sides if inside]
        return [(library[0], path) for path, inside in sides if not inside] if library else []

    def shown(self, *, across: bool) -> tuple[str, bool]:
        """Return the path to show for this content, and whether it belongs to the library.

        Across, a photo that the library has is shown by the library's file, so that it is not
        listed as identical with itself.
        """
        if across and any(self.in_library):
            return self.paths[self.in_library.index(True)], True
        return self.paths[0], self.in_library[0]


@dataclass(frozen=True, eq=False)
class MatchedPair:
    """A matching pair.

    Attributes:
        original: number of the image that is probably the original.
        copy: number of the other image.
        cosine: of the embeddings.
        verdict: of the pair (original, copy).
        origin: direction and its strongest cue.
    """

    original: int
    copy: int
    cosine: float
    verdict: PairVerdict
    origin: Origin

    @property
    def probability(self) -> float:
        """Probability in 0..1 that one of the two is a copy of the other."""
        return self.verdict.probability

    @property
    def reason(self) -> str:
        """One sentence on the content that the two share."""
        return reworded(self.verdict.reason, query="original", reference="copy")

    @property
    def why(self) -> str:
        """The strongest cue for the direction; empty where the direction is unclear."""
        return self.origin.why if self.origin.clear else ""

    @property
    def edge(self) -> Edge:
        """The pair as an edge for grouping."""
        return Edge(self.original, self.copy, self.probability, self.origin.clear)


@dataclass(frozen=True, eq=False)
class ScanResult:
    """Result of a scan.

    Attributes:
        roots: (absolute folder, the same folder as typed) of the photos, and of the library where
            there is one.
        across: True if photos were compared with a library, False if with each other.
        images: contents that take part in a pair, or that several files hold.
        pairs: matching pairs, surest first; those from ``threshold`` on are accepted.
        threshold: probability from which on a pair is accepted.
        precision: that was asked for.
        synced: outcome for the files.
        files: number of files.
        compared: number of verified pairs, by this scan or an earlier one.
        candidates: number of candidate pairs before the budget.
        uncompared: number of pairs that could not be compared.
        store: file of the cache, for thumbnails.
        links: number of further names of listed files, which were left out.
        raw_twins: number of RAW files left out beside the JPEG or HEIC of their shot.
        skipped: ending -> number of images of an unreadable format.
        unreadable_folders: absolute path -> why its files are not among those of the scan.
        seconds: step -> wall-clock seconds.
        model: name or path of the model.
        model_hash: hash of its weights and preprocessing.
    """

    roots: tuple[tuple[Path, Path], ...]
    across: bool
    images: list[ScanImage]
    pairs: list[MatchedPair]
    threshold: float
    precision: float
    synced: SyncResult
    files: int
    compared: int
    candidates: int
    uncompared: int
    store: Path
    links: int = 0
    raw_twins: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    unreadable_folders: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    model: str = ""
    model_hash: str = ""

    @property
    def root(self) -> Path:
        """Absolute folder of the photos."""
        return self.roots[0][0]

    @property
    def accepted(self) -> list[MatchedPair]:
        """Pairs from the threshold on."""
        return [pair for pair in self.pairs if pair.probability >= self.threshold]

    def typed_path(self, path: str) -> str:
        """Return a path under the folder as it was typed: relative if the argument was."""
        for absolute, typed in self.roots:
            inside = os.path.relpath(path, absolute)
            if not inside.startswith(os.pardir + os.sep):
                return os.path.normpath(typed / inside)
        return path

    def thumbnails(self) -> ThumbnailFile:
        """Return the thumbnails by digest; the caller closes them."""
        return ThumbnailFile(self.store)

    def groups(self) -> list[Group]:
        """Group the accepted pairs, and contents of identical files, in the gallery's order."""
        stars = star_groups([pair.edge for pair in self.accepted])
        grouped = {
            number
            for group in stars
            for number in (group.original, *(copy for copy, _ in group.copies))
        }
        alone = [
            Group(number, ())
            for number, image in enumerate(self.images)
            if number not in grouped and image.identical(across=self.across)
        ]
        return sorted([*stars, *alone], key=self._group_rank)

    def _group_rank(self, group: Group) -> tuple[int, float, int]:
        """Sort key: most files first, then the surest; ``regroup`` in gallery.js does the same."""
        surest = max((self.pairs[row].probability for _, row in group.copies), default=1.0)
        identical = self.images[group.original].identical(across=self.across)
        return -len(group.copies) - len(identical), -surest, group.original
