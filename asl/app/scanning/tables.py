"""Write the result of a scan for other programs: CSV, Parquet or JSON, one row a pair."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asl.app.library.shots import ShotFiles
from asl.counts import counted
from asl.storage import atomic_text, recorded
from asl.version import __version__

if TYPE_CHECKING:
    from asl.app.families.family_trees import Family, Member
    from asl.app.scanning.result import MatchedPair, ScanResult

EDIT_SEPARATOR = "; "
_PATHS = ("original", "copy", "original_shot", "copy_shot", "parent")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Row:
    """One accepted pair of files.

    Attributes:
        group: number of the group, from 1, largest first.
        original: path of the file that is probably the original.
        copy: path of the other one.
        probability: 0..1 that one is a copy of the other; of ``same moment``, that both are shots
            of one moment, 1 where their dates say so.
        direction: ``original->copy``, ``unclear``, or ``same file``.
        why: strongest cue for the direction; empty where it is unclear.
        edits: probable edits, separated by ``; `` (a list in JSON).
        reason: content that the two share.
        cosine: of their embeddings.
        original_width: pixels.
        original_height: pixels.
        original_bytes: size of the file.
        original_log_norm: ln |f|; the larger one holds more of the original.
        copy_width: pixels.
        copy_height: pixels.
        copy_bytes: size of the file.
        copy_log_norm: ln |f|.
        original_shot: names of the other files of its shot (RAW, video, sidecar), separated by
            ``; ``: to be kept or moved together with it.
        copy_shot: the same of the copy.
        relation: ``copy`` (a line of the tree), ``same file``, ``further match`` (beside the tree,
            much surer than its lines), ``same moment`` (two shots of a burst, no copies) or
            ``library match``.
        parent: the picture that ``copy`` stands under in its tree; empty where the row is no line.
        kinds: kinds of the edits, one word each, separated by ``; `` (a list in JSON).
        family: id of the group by the content of its first picture: the same in the next scan.
        depth: 1 for a copy of the first picture, 2 for a copy of a copy ...; 0 where the row is no
            line.
    """

    group: int
    original: str
    copy: str
    probability: float
    direction: str
    why: str
    edits: str
    reason: str
    cosine: float
    original_width: int
    original_height: int
    original_bytes: int
    original_log_norm: float
    copy_width: int
    copy_height: int
    copy_bytes: int
    copy_log_norm: float
    original_shot: str = ""
    copy_shot: str = ""
    relation: str = ""
    parent: str = ""
    kinds: str = ""
    family: str = ""
    depth: int = 0


def rows_of(result: ScanResult) -> list[Row]:
    """List accepted pairs by group, surest first, identical files with the group of their content.

    Paths are relative where the folder was given by a relative path.
    """
    shots = ShotFiles()
    return [
        replace(
            row,
            original_shot=EDIT_SEPARATOR.join(shots.beside(row.original)),
            copy_shot=EDIT_SEPARATOR.join(shots.beside(row.copy)),
        )
        for number, family in enumerate(result.families(), start=1)
        for row in _Lister(result, number, family).rows()
    ]


@dataclass(frozen=True, eq=False)
class _Lister:
    """List the rows of one family.

    Attributes:
        result: of the scan.
        group: number of the family.
        family: to list.
    """

    result: ScanResult
    group: int
    family: Family

    def rows(self) -> list[Row]:
        """List lines, pairs beside them, identical files."""
        pairs = self.result.pairs
        rows = [
            self._line(member, pairs[member.row], member.parent)
            for member in self.family.members
            if member.row is not None and member.parent is not None
        ]
        rows += [self._pair_row(pairs[row], "further match") for row in self.family.beside]
        listed = self.family.members[:1] if self.result.across else self.family.members
        if self.family.kind == "same moment":
            listed = ()  # their identical files are a group of copies
        for member in listed:
            rows += self._identical_rows(member.image)
        return rows

    def _line(self, member: Member, pair: MatchedPair, parent: int) -> Row:
        if self.family.kind == "library matches":
            return self._pair_row(pair, "library match")
        if self.family.kind == "same moment":
            row = self._pair_row(pair.under(parent), "same moment")
            sure = pair.moment_probability
            return replace(
                row, probability=sure, direction="same moment", why="", edits="", kinds=""
            )
        row = self._pair_row(pair.under(parent), "copy")
        return replace(row, parent=row.original, depth=member.depth)

    def _pair_row(self, pair: MatchedPair, relation: str) -> Row:
        return Row(
            self.group,
            self._path(pair.original),
            self._path(pair.copy),
            pair.probability,
            "original->copy" if pair.origin.clear else "unclear",
            pair.why,
            EDIT_SEPARATOR.join(pair.verdict.edits),
            pair.reason,
            round(pair.cosine, 6),
            *_measures(self.result, pair.original),
            *_measures(self.result, pair.copy),
            relation=relation,
            kinds=EDIT_SEPARATOR.join(pair.kinds),
            family=self.result.family_id(self.family),
        )

    def _path(self, image: int) -> str:
        """Show the new picture as one of the photos, its matches as the library's files."""
        as_new = not self.result.across or image == self.family.original
        return self.result.typed_path(self.result.images[image].shown(as_new=as_new))

    def _identical_rows(self, image: int) -> list[Row]:
        measures = _measures(self.result, image)
        return [
            Row(
                self.group,
                self.result.typed_path(original),
                self.result.typed_path(copy),
                1.0,
                "same file",
                "",
                "exact copy",
                "the same file, byte for byte",
                1.0,
                *measures,
                *measures,
                relation="same file",
                kinds="identical",
                family=self.result.family_id(self.family),
            )
            for original, copy in self.result.images[image].identical(across=self.result.across)
        ]


def _measures(result: ScanResult, number: int) -> tuple[int, int, int, float]:
    image = result.images[number]
    facts = image.facts
    return facts.width, facts.height, facts.bytes, round(image.log_norm, 6)


def write_table(rows: list[Row], path: Path) -> None:
    """Write rows in the format of the path's ending: ``.csv``, ``.parquet`` or ``.json``."""
    if path.suffix == ".parquet":
        _write_parquet(rows, path)
        return
    with recorded(path), atomic_text(path) as file:
        if path.suffix == ".json":
            listed = [
                {**asdict(row), "edits": _parts(row.edits), "kinds": _parts(row.kinds)}
                for row in rows
            ]
            json.dump(listed, file, indent=1, ensure_ascii=False)
            return
        writer = csv.DictWriter(file, [field.name for field in fields(Row)])
        writer.writeheader()
        for row in rows:
            cells = asdict(row)
            writer.writerow({**cells, **{name: path_cell(cells[name]) for name in _PATHS}})


def _parts(text: str) -> list[str]:
    return text.split(EDIT_SEPARATOR) if text else []


def _write_parquet(rows: list[Row], path: Path) -> None:
    import pyarrow as pa

    from asl.data.checked_parquet import write_parquet

    kinds = {"int": pa.int64(), "float": pa.float64(), "str": pa.string()}
    schema = pa.schema([(field.name, kinds[str(field.type)]) for field in fields(Row)])
    table = pa.Table.from_pylist([asdict(row) for row in rows], schema=schema)
    write_parquet(table, path)


def path_cell(path: str) -> str:
    """Return a path that no spreadsheet takes for a formula; it names the same file.

    >>> path_cell("=cmd.jpg"), path_cell("photos/=cmd.jpg")
    ('./=cmd.jpg', 'photos/=cmd.jpg')
    """
    return f"./{path}" if path.startswith(FORMULA_STARTS) else path


def write_failures(failures: Mapping[str, str], path: Path) -> None:
    """Write files that could not be read, with the reason, as CSV."""
    with recorded(path), atomic_text(path) as file:
        writer = csv.writer(file)
        writer.writerow(("path", "reason"))
        writer.writerows((path_cell(name), reason) for name, reason in sorted(failures.items()))


def summary(result: ScanResult, rows: list[Row], *, command: str) -> dict[str, Any]:
    """Summarise a scan for JSON; files = usable + unreadable.

    Args:
        result: of the scan.
        rows: accepted pairs.
        command: that ran it.
    """
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "version": __version__,
        "model": result.model,
        "model_hash": result.model_hash,
        "folders": [str(folder) for folder, _ in result.roots],
        "files": result.files,
        "usable": len(result.synced.digests),
        "unreadable": len(result.synced.failures),
        "links_skipped": result.links,
        "left_out_by_options": result.left_out,
        "raw_files_kept_with_a_photo": result.raw_twins,
        "formats_skipped": result.skipped,
        "unreadable_folders": len(result.unreadable_folders),
        "embedded": result.synced.embedded,
        "reused": result.synced.reused,
        "forgotten": result.synced.forgotten,
        "candidates": result.candidates,
        "compared": result.compared,
        "skipped_as_hopeless": result.hopeless,
        "decided_by_earlier_scans": result.recalled,
        "not_comparable": result.uncompared,
        "pairs": sum(row.relation != "same moment" for row in rows),
        "groups": len({row.group for row in rows if row.relation != "same moment"}),
        "identical_files": sum(row.relation == "same file" for row in rows),
        "bursts": len({row.group for row in rows if row.relation == "same moment"}),
        **_copies(result),
        "precision": result.precision,
        "threshold": result.threshold,
        "calibration": calibration_text(result),
        "calibration_numbers": _calibration_numbers(result),
        "marked_pairs_left_out": result.marked_out,
        "seconds": result.seconds,
    }


def _copies(result: ScanResult) -> dict[str, int]:
    """Count the files beside the first one of each family, and their bytes.

    With a library: the new files that have a match in it. That one is a copy does not say that it
    can go: what would be lost with it, the rules of a review look at.
    """
    files = [file for family in result.families() for file in result.copies(family)]
    return {
        "probable_copies": len(files),
        "copied_bytes": sum(result.images[image].facts.bytes for image, _ in files),
    }


def calibration_text(result: ScanResult) -> str:
    """Say which calibration the probabilities are from, in one line."""
    numbers = _calibration_numbers(result)
    if not numbers:
        return "packaged"
    answers = counted(numbers["copies"] + numbers["others"], "answer")
    copies = counted(numbers["copies"], "copy", "copies")
    text = (
        f"of this library, from {answers} ({copies}, {numbers['others']} not); the threshold "
        f"{result.threshold:.3g} is a packaged {numbers['packaged_threshold']:.3g}"
    )
    if "precision" not in numbers:
        return text
    return f"{text}; of the pairs found, {_shares(numbers['precision'])} are copies"


def _shares(interval: Mapping[str, float]) -> str:
    estimate, low, high = (100 * interval[key] for key in ("estimate", "low", "high"))
    return f"about {estimate:.0f} % ({low:.0f} to {high:.0f} % with a probability of .9)"


def _calibration_numbers(result: ScanResult) -> dict[str, Any]:
    """Return slope, offset and answers of the library's calibration; empty for the packaged one.

    The precision is estimated for the accepted pairs of different files.
    """
    calibration = result.calibration
    if not calibration.answers:
        return {}
    numbers = calibration.to_plain()
    numbers["packaged_threshold"] = calibration.packaged(result.threshold)
    packaged = [pair.packaged_probability for pair in result.accepted]
    if packaged:
        numbers["precision"] = asdict(calibration.precision(packaged))
    return numbers
