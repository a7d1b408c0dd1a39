"""What a scan is asked and what it answers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from asl.app.library.facts import Facts
from asl.app.library.sync import Synced
from asl.app.library.thumbnails import PictureFile
from asl.app.origin import Origin
from asl.app.pair_verifier import PairVerdict, named
from asl.app.scanning.groups import Edge, Group, star_groups
from asl.data.images import MAX_PIXELS
from asl.matching.decision.thresholds import DEFAULT_PRECISION, threshold_for
from asl.types import UsageError


@dataclass(frozen=True)
class ScanOptions:
    """What to scan and how hard to look.

    Attributes:
        photos: folder, image, or list of files.
        against: library in which originals (and copies) of the photos are looked for; None: among
            the photos.
        cache: the store that remembers features and verdicts between scans.
        model: ``asl_lite0`` or a path.
        precision: share of accepted pairs that shall be right.
        regions: parts of the images that are searched, too: ``none``, ``coarse``, ``fine``.
        details: candidates of each photo by its local features, which find crops and pasted
            pictures; 0: none.
        neighbours: candidates of each photo by its embedding.
        effort: pairs looked at per photo, on average, but 10,000 at least; the most promising ones
            first.
        workers: processes that look at pairs.
        device: ``auto``, ``cpu``, ``cuda``.
        max_pixels: of a photo that is read; a JPEG may have four times as many.
    """

    photos: Path
    against: Path | None = None
    cache: Path = Path("asl-scan/cache.sqlite")
    model: str = "asl_lite0"
    precision: float = DEFAULT_PRECISION
    regions: str = "none"
    details: int = 3
    neighbours: int = 10
    effort: float = 2.0
    workers: int = 1
    device: str = "auto"
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        threshold_for(self.precision)
        if self.neighbours < 1 or self.details < 0 or not 0 < self.effort < math.inf:
            raise UsageError(
                "neighbours must be 1 or more, details 0 or more and effort above 0 and finite, got "
                f"{self.neighbours}, {self.details} and {self.effort:g}"
            )


@dataclass(frozen=True, eq=False)
class ScanImage:
    """One content of a scan.

    Attributes:
        paths: its files, which are identical; the first one is shown.
        in_library: per file, whether it is of the library and not of the photos.
        digest: of the content.
        facts: what the files say.
        log_norm: ln |f|.
    """

    paths: tuple[str, ...]
    in_library: tuple[bool, ...]
    digest: str
    facts: Facts
    log_norm: float

    def identical(self, *, across: bool) -> list[tuple[str, str]]:
        """(original, copy) paths of identical files; ``across``: only library -> photo."""
        if not across:
            return [(self.paths[0], path) for path in self.paths[1:]]
        sides = list(zip(self.paths, self.in_library, strict=True))
        library = [path for path, inside in sides if inside]
        return [(library[0], path) for path, inside in sides if not inside] if library else []


@dataclass(frozen=True, eq=False)
class Found:
    """A matching pair.

    Attributes:
        original: number of the image that is probably the original.
        copy: number of the other image.
        cosine: of the embeddings.
        judgement: of the pair original, copy.
        origin: why the one is taken for the original.
    """

    original: int
    copy: int
    cosine: float
    judgement: PairVerdict
    origin: Origin

    @property
    def reason(self) -> str:
        """What the two have in common, in words."""
        return named(self.judgement.reason, query="original", reference="copy")

    @property
    def edge(self) -> Edge:
        """The pair as groups see it."""
        return Edge(self.original, self.copy, self.judgement.probability, self.origin.clear)


@dataclass(frozen=True, eq=False)
class ScanResult:
    """What a scan found.

    Attributes:
        root: folder that paths may be shown relative to.
        across: whether photos were compared with a library and not with each other.
        images: contents that take part in a pair, or that several files hold.
        pairs: matching pairs, surest first; those from ``threshold`` on are accepted.
        threshold: probability from which on a pair is accepted.
        precision: that was asked for.
        synced: what became of the files.
        files: how many there were.
        looked_at: pairs whose pixels were compared (by this scan or an earlier one).
        candidates: pairs that could have been looked at.
        uncompared: pairs that could not be compared.
        store: the cache's file, for pictures.
        links: further names of files that are listed already, which were left out.
        skipped: ending -> how many pictures of that format were passed over, because it cannot be
            read.
        seconds: step -> wall-clock seconds.
    """

    root: Path
    across: bool
    images: list[ScanImage]
    pairs: list[Found]
    threshold: float
    precision: float
    synced: Synced
    files: int
    looked_at: int
    candidates: int
    uncompared: int
    store: Path
    links: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def accepted(self) -> list[Found]:
        """Pairs from the threshold on."""
        return [pair for pair in self.pairs if pair.judgement.probability >= self.threshold]

    def pictures(self) -> PictureFile:
        """Small JPEGs by content; to be closed."""
        return PictureFile(self.store)

    def groups(self) -> list[Group]:
        """Groups of the accepted pairs and contents that only identical files share, in the order of the gallery."""
        stars = star_groups([pair.edge for pair in self.accepted])
        seen = {
            number
            for group in stars
            for number in (group.original, *(copy for copy, _ in group.copies))
        }
        alone = [
            Group(number, ())
            for number, image in enumerate(self.images)
            if number not in seen and image.identical(across=self.across)
        ]
        return sorted([*stars, *alone], key=self._place)

    def _place(self, group: Group) -> tuple[int, float, int]:
        """Sort key: most files first, then the surest; ``regroup`` in the gallery's page does the same."""
        surest = max(
            (self.pairs[row].judgement.probability for _, row in group.copies), default=1.0
        )
        identical = self.images[group.original].identical(across=self.across)
        return -len(group.copies) - len(identical), -surest, group.original
