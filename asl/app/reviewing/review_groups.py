"""Groups of files to decide about, from the result of a scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from asl.app.families.family_trees import Family
from asl.app.pairs.pair_marks import ContentPair, content_pair
from asl.app.scanning.result import MatchedPair, ScanResult
from asl.errors import UsageError
from asl.storage import path_of_printable

Pairs = list[MatchedPair]


@dataclass(frozen=True)
class ReviewFile:
    """A file of a group.

    Attributes:
        number: place among the files of the review.
        path: absolute path, as the scan shows it.
        image: number of its content in the scan; identical files share it.
        in_library: True if it belongs to the library of a scan with ``--against``.
    """

    number: int
    path: str
    image: int
    in_library: bool

    @property
    def place(self) -> str:
        """The path on the disk, where bytes of a name may not be UTF-8."""
        return path_of_printable(self.path)


@dataclass(frozen=True)
class Member:
    """A file as a member of a group.

    Attributes:
        file: number of the file.
        parent: number of the file that it was made from, or is identical with; None for the root.
        pair: row of the pair (parent, file) in the scan; None for the root and identical files.
        clear: True if it is certain that the file was made from its parent; identical files are.
        probability: 0..1 that one was made from the other; 1 for the root and identical files.
        covered: share of the picture, 0..1, that its parent shows, too; what is left would be lost
            with the file.
    """

    file: int
    parent: int | None = None
    pair: int | None = None
    clear: bool = True
    probability: float = 1.0
    covered: float = 1.0


@dataclass(frozen=True)
class ReviewGroup:
    """Files that belong together.

    Attributes:
        number: of the group, from 1, as in the table and the gallery.
        members: the root first, every other one after its parent.
        kind: ``copies``, ``same moment`` (shots of one burst; none is a copy) or ``library
            matches``, whose root is a file of the library.
    """

    number: int
    members: tuple[Member, ...]
    kind: str = "copies"

    @property
    def root(self) -> int:
        """Number of the file that is probably the original."""
        return self.members[0].file

    @property
    def files(self) -> tuple[int, ...]:
        """Numbers of the files."""
        return tuple(member.file for member in self.members)


class ReviewFiles:
    """Files of a review by number and by path."""

    def __init__(self, result: ScanResult) -> None:
        """List every file of every image that takes part."""
        self._of_image: list[list[int]] = []
        self.listed: list[ReviewFile] = []
        for image, content in enumerate(result.images):
            start = len(self.listed)
            sides = zip(content.paths, content.in_library, strict=True)
            self.listed += [
                ReviewFile(number, path, image, inside)
                for number, (path, inside) in enumerate(sides, start=start)
            ]
            self._of_image.append(list(range(start, len(self.listed))))
        self.by_path = {file.path: file.number for file in self.listed}

    def __len__(self) -> int:
        return len(self.listed)

    def __getitem__(self, number: int) -> ReviewFile:
        return self.listed[number]

    def checked(self, number: int) -> ReviewFile:
        """Return a file by its number.

        Raises:
            UsageError: there is no such file.
        """
        if not 0 <= number < len(self.listed):
            raise UsageError(f"file: there is no number {number}; there are {len(self.listed)}")
        return self.listed[number]

    def of_image(self, image: int, *, in_library: bool | None = None) -> list[int]:
        """Return the numbers of the files of a content, the one that is shown first.

        Args:
            image: number of the content.
            in_library: only files of the library, or only the others; None for all.
        """
        numbers = self._of_image[image]
        if in_library is None:
            return numbers
        return [number for number in numbers if self.listed[number].in_library == in_library]


def review_groups(
    result: ScanResult, files: ReviewFiles, left_out: Mapping[ContentPair, str]
) -> list[ReviewGroup]:
    """Group the files of the accepted pairs.

    Args:
        result: of the scan.
        files: its files.
        left_out: pairs of digests that were marked since the scan.
    """
    digests = [image.digest for image in result.images]
    rows = [
        row
        for row, pair in enumerate(result.pairs)
        if content_pair(digests[pair.original], digests[pair.copy]) not in left_out
    ]
    images = [
        replace(image, keep_all=image.keep_all or (image.digest, image.digest) in left_out)
        for image in result.images
    ]
    kept = replace(result, pairs=[result.pairs[row] for row in rows], images=images)
    listing = _Listing(kept, files, rows)
    groups = []
    for number, family in enumerate(kept.families(), start=1):
        members = listing.library_members(family) if result.across else listing.tree(family)
        groups.append(ReviewGroup(number, tuple(members), family.kind))
    return groups


@dataclass(frozen=True, eq=False)
class _Listing:
    """Turn families of images into groups of files.

    Attributes:
        result: without the pairs that are left out.
        files: of the scan.
        rows: row in the scan of each pair of the result.
    """

    result: ScanResult
    files: ReviewFiles
    rows: list[int]

    def tree(self, family: Family) -> list[Member]:
        """List an original and its copies, each with its identical files."""
        members: list[Member] = []
        for member in family.members:
            first = self.files.of_image(member.image)[0]
            if member.row is None or member.parent is None:
                whole = Member(first)
            else:
                whole = self._line(first, member.parent, member.row)
                if family.kind == "same moment":
                    whole = replace(whole, clear=False, covered=0.0)
            members.append(whole)
            if family.kind == "copies" and not self.result.images[member.image].keep_all:
                others = self.files.of_image(member.image)[1:]
                members += [Member(other, first) for other in others]
        return members

    def library_members(self, family: Family) -> list[Member]:
        """List a file of the library, the new files that come from it, and its other matches."""
        image = family.original
        new = self.files.of_image(image, in_library=False)
        twins = self.files.of_image(image, in_library=True)
        matches = [member for member in family.members if member.row is not None]
        firsts = [self.files.of_image(member.image, in_library=True) for member in matches]
        if twins and not self.result.images[image].keep_all:
            found = [Member(twins[0]), *(Member(number, twins[0]) for number in new)]
        elif matches and matches[0].row is not None:
            root = firsts[0][0]
            line = self._line(new[0], matches[0].image, matches[0].row)
            found = [Member(root), replace(line, parent=root)]
            found += [Member(number, new[0]) for number in new[1:]]
            matches, firsts = matches[1:], firsts[1:]
        else:
            found = [Member(number) for number in new[:1]]
        root = found[0].file
        for member, numbers in zip(matches, firsts, strict=True):
            if member.row is not None and numbers:
                found.append(replace(self._line(numbers[0], image, member.row), parent=root))
        return found

    def _line(self, file: int, parent: int, row: int) -> Member:
        """Return a file as the copy of an image, by the row of their pair."""
        pair = self.result.pairs[row]
        turned = pair if pair.origin.clear else pair.under(parent)
        is_copy = turned.original == parent
        share = turned.verdict.share_second if is_copy else turned.verdict.share_first
        return Member(
            file,
            self.files.of_image(parent)[0],
            self.rows[row],
            pair.origin.clear and is_copy,
            pair.probability,
            share,
        )


def shown_pairs(result: ScanResult, files: ReviewFiles, groups: Sequence[ReviewGroup]) -> Pairs:
    """Return every pair of the scan as the groups show it: unclear ones under their parent."""
    parents = {
        member.pair: files[member.parent].image
        for group in groups
        for member in group.members
        if member.pair is not None and member.parent is not None
    }
    pairs = []
    for row, pair in enumerate(result.pairs):
        parent = parents.get(row)
        turned = not pair.origin.clear and parent == pair.copy
        pairs.append(pair.under(pair.copy) if turned else pair)
    return pairs
