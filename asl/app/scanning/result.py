"""Result of a scan."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from asl.app.families.edge_kinds import edge_kinds
from asl.app.families.family_trees import (
    Edge,
    Family,
    Member,
    copy_families,
    library_families,
    moment_families,
)
from asl.app.library.facts import Facts
from asl.app.library.sync import SyncResult
from asl.app.library.thumbnails import ThumbnailFile
from asl.app.pairs.origin import Origin
from asl.app.pairs.pair_verdict import PairVerdict, reworded
from asl.scoring.library_calibration import LibraryCalibration
from asl.storage import printable_name


@dataclass(frozen=True, eq=False)
class ScanImage:
    """One content of a scan.

    Attributes:
        paths: absolute paths of its files, which are identical; the first one is shown.
        in_library: per file, True if it belongs to the library, False for the photos.
        digest: of the content.
        facts: of the files.
        log_norm: ln |f|.
        keep_all: True if a review said that all of its identical files are to be kept.
    """

    paths: tuple[str, ...]
    in_library: tuple[bool, ...]
    digest: str
    facts: Facts
    log_norm: float
    keep_all: bool = False

    @property
    def new_paths(self) -> tuple[str, ...]:
        """Paths of the photos among the files, the library's left out."""
        return tuple(p for p, inside in zip(self.paths, self.in_library, strict=True) if not inside)

    @property
    def library_paths(self) -> tuple[str, ...]:
        """Paths of the library's files."""
        return tuple(p for p, inside in zip(self.paths, self.in_library, strict=True) if inside)

    def is_across(self, other: ScanImage) -> bool:
        """Check that one of two images is new and the other one the library's."""
        return bool(
            (self.new_paths and other.library_paths) or (self.library_paths and other.new_paths)
        )

    def identical(self, *, across: bool) -> list[tuple[str, str]]:
        """List pairs (original, copy) of identical files.

        Args:
            across: with a library; its first file is the original of the photos then. Photos that
                are identical with each other only are listed, too.
        """
        if self.keep_all:
            return []
        if not across:
            return [(self.paths[0], path) for path in self.paths[1:]]
        new = self.new_paths
        if new and self.library_paths:
            return [(self.library_paths[0], path) for path in new]
        return [(new[0], path) for path in new[1:]]

    def shown(self, *, as_new: bool) -> str:
        """Return the path to show: the first of the photos, or of the library's files.

        Args:
            as_new: as one of the photos; where there is none, the other kind is shown.
        """
        preferred, other = self.new_paths, self.library_paths
        return (preferred or other)[0] if as_new else (other or preferred)[0]


@dataclass(frozen=True, eq=False)
class MatchedPair:
    """A matching pair.

    Attributes:
        original: number of the image that is probably the original.
        copy: number of the other image.
        cosine: of the embeddings.
        verdict: of the pair (original, copy).
        origin: direction and its strongest cue; its vote is positive.
        back_edits: probable edits if the direction is the other one.
        weight: log-odds, in thousandths, that the copy was made from the original directly.
        back_weight: the same for the other direction.
        same_moment: two shots of one moment, by their dates; neither was made from the other.
        near_moment: two shots of one moment unless the pair is accepted as copies.
        packaged: probability of the packaged calibration; None where the verdict has it.
    """

    original: int
    copy: int
    cosine: float
    verdict: PairVerdict
    origin: Origin
    back_edits: tuple[str, ...] = ()
    weight: int = 0
    back_weight: int = 0
    same_moment: bool = False
    near_moment: bool = False
    packaged: float | None = None

    @property
    def probability(self) -> float:
        """Probability in 0..1 that one of the two is a copy of the other."""
        return self.verdict.probability

    @property
    def moment_probability(self) -> float:
        """Probability in 0..1 that both are shots of one moment; 1 where their dates say so."""
        return 1.0 if self.same_moment else self.verdict.same_moment

    @property
    def packaged_probability(self) -> float:
        """The same by the packaged calibration, whichever the scan used."""
        return self.probability if self.packaged is None else self.packaged

    @property
    def reason(self) -> str:
        """One sentence on the content that the two share."""
        return reworded(self.verdict.reason, query="original", reference="copy")

    @property
    def why(self) -> str:
        """The strongest cue for the direction; empty where the direction is unclear."""
        return self.origin.why if self.origin.clear else ""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of the probable edits (:mod:`asl.app.families.edge_kinds`), one word each."""
        return edge_kinds(self.verdict.edits)

    def edge(self, threshold: float) -> Edge:
        """Return the pair as an edge for grouping.

        Args:
            threshold: probability from which a pair is accepted.
        """
        return Edge(
            self.original,
            self.copy,
            self.probability,
            self.origin.clear,
            self.weight,
            self.back_weight,
            self.same_moment or (self.near_moment and self.probability < threshold),
        )

    def under(self, parent: int) -> MatchedPair:
        """Return the pair with one of its two images as the original.

        Only a pair of unclear direction is ever turned.
        """
        if parent == self.original:
            return self
        return replace(
            self,
            original=self.copy,
            copy=self.original,
            verdict=replace(self.verdict.flipped(), edits=self.back_edits),
            origin=Origin(-self.origin.vote, self.origin.why),
            back_edits=self.verdict.edits,
            weight=self.back_weight,
            back_weight=self.weight,
        )


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
        hopeless: number of candidate pairs left out because they cannot match, by the rule of
            :mod:`asl.app.scanning.pair_prospects`; the few that were compared as relatives
            afterwards are counted in both.
        recalled: number of candidate pairs that the rule would have left out, but for the verdicts
            of earlier comparisons, which count.
        store: file of the cache, for thumbnails.
        links: number of further names of listed files, which were left out.
        left_out: number of files that --exclude and --min-size left out.
        raw_twins: number of RAW files left out beside the JPEG or HEIC of their shot.
        skipped: ending -> number of images of an unreadable format.
        unreadable_folders: absolute path -> why its files are not among those of the scan.
        seconds: step -> wall-clock seconds.
        model: name or path of the model.
        model_hash: hash of its weights and preprocessing.
        marks: file of the marks that reviews set on pairs.
        marked_out: mark -> number of pairs left out because an earlier review said so.
        calibration: of the probabilities.
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
    left_out: int = 0
    raw_twins: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    unreadable_folders: dict[str, str] = field(default_factory=dict)
    hopeless: int = 0
    recalled: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    model: str = ""
    model_hash: str = ""
    marks: Path = Path()
    marked_out: dict[str, int] = field(default_factory=dict)
    calibration: LibraryCalibration = field(default_factory=LibraryCalibration)

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
            inside = os.path.relpath(printable_name(path), printable_name(str(absolute)))
            if not inside.startswith(os.pardir + os.sep):
                return os.path.normpath(printable_name(str(typed / inside)))
        return printable_name(path)

    def thumbnails(self) -> ThumbnailFile:
        """Return the thumbnails by digest; the caller closes them."""
        return ThumbnailFile(self.store)

    def families(self) -> list[Family]:
        """Group the accepted pairs, and contents of identical files, in the gallery's order.

        Without a library: trees of copies, then the shots of one moment. With one: a list of
        matches for every new picture.
        """
        edges = [pair.edge(self.threshold) for pair in self.pairs]
        accepted = edges[: len(self.accepted)]  # pairs are sorted
        if self.across:
            families = library_families(
                accepted,
                is_new=lambda number: bool(self.images[number].new_paths),
                in_library=lambda number: bool(self.images[number].library_paths),
            )
        else:
            families = copy_families(accepted)
        grouped = {member.image for family in families for member in family.members}
        if self.across:  # a picture that is a library match of another has its own list, too
            grouped = {family.original for family in families}
        alone = [
            Family((Member(number),), "library matches" if self.across else "copies")
            for number, image in enumerate(self.images)
            if number not in grouped and self.has_twins(image)
        ]
        families = sorted([*families, *alone], key=self._rank)
        if self.across:
            return families
        copies = {member.image for family in families for member in family.members[1:]}
        moments = moment_families(edges, lambda number: self.images[number].facts.sharpness, copies)
        return [*families, *moments]

    def family_id(self, family: Family) -> str:
        """Return an id that stays the same while the first image of a family does."""
        return self.images[family.original].digest[:12]

    def copies(self, family: Family) -> list[tuple[int, str]]:
        """List the files of a family beside its first one: (number of the image, path).

        With a library the new files that have a match in it; none of the shots of one moment, which
        are no copies.
        """
        if family.kind == "same moment":
            return []
        if self.across:
            image = self.images[family.original]
            return [(family.original, path) for path in image.new_paths]
        first = (family.original, self.images[family.original].paths[0])
        files = [(m.image, path) for m in family.members for path in self.images[m.image].paths]
        return [file for file in files if file != first]

    def has_twins(self, image: ScanImage) -> bool:
        """Check for identical files that make a group of their own."""
        if image.keep_all:
            return False
        if self.across:
            return bool(image.new_paths and image.library_paths)
        return len(image.paths) > 1

    def _rank(self, family: Family) -> tuple[int, float, int]:
        """Sort key: most files first, then the surest; ``regroup`` in gallery.js does the same."""
        surest = max((self.pairs[row].probability for row in family.rows), default=1.0)
        listed = [family.original] if self.across else [m.image for m in family.members]
        identical = sum(len(self.images[image].identical(across=self.across)) for image in listed)
        return -(len(family.members) - 1) - identical, -surest, family.original
