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
from asl.storage import atomic_text
from asl.version import __version__

if TYPE_CHECKING:
    from asl.app.scanning.result import MatchedPair, ScanResult

EDIT_SEPARATOR = "; "
_PATHS = ("original", "copy", "original_shot", "copy_shot")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Row:
    """One accepted pair of files.

    Attributes:
        group: number of the group, from 1, largest first.
        original: path of the file that is probably the original.
        copy: path of the other one.
        probability: 0..1 that one is a copy of the other.
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


def rows_of(result: ScanResult) -> list[Row]:
    """List accepted pairs by group, surest first, identical files with the group of their content.

    Paths are relative where the folder was given by a relative path.
    """
    rows: list[Row] = []
    listed: set[int] = set()
    for number, group in enumerate(result.groups(), start=1):
        members = [group.original, *(copy for copy, _ in group.copies)]
        rows += [_pair_row(result, number, result.pairs[row]) for _, row in group.copies]
        for member in members:
            if member not in listed:
                listed.add(member)
                rows += _identical_rows(result, number, member)
    shots = ShotFiles()
    return [
        replace(
            row,
            original_shot=EDIT_SEPARATOR.join(shots.beside(row.original)),
            copy_shot=EDIT_SEPARATOR.join(shots.beside(row.copy)),
        )
        for row in rows
    ]


def _pair_row(result: ScanResult, group: int, pair: MatchedPair) -> Row:
    original, copy = result.images[pair.original], result.images[pair.copy]
    return Row(
        group,
        result.typed_path(original.shown(across=result.across)[0]),
        result.typed_path(copy.shown(across=result.across)[0]),
        pair.probability,
        "original->copy" if pair.origin.clear else "unclear",
        pair.why,
        EDIT_SEPARATOR.join(pair.verdict.edits),
        pair.reason,
        round(pair.cosine, 6),
        *_measures(result, pair.original),
        *_measures(result, pair.copy),
    )


def _identical_rows(result: ScanResult, group: int, image: int) -> list[Row]:
    measures = _measures(result, image)
    return [
        Row(
            group,
            result.typed_path(original),
            result.typed_path(copy),
            1.0,
            "same file",
            "",
            "exact copy",
            "the same file, byte for byte",
            1.0,
            *measures,
            *measures,
        )
        for original, copy in result.images[image].identical(across=result.across)
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
    with atomic_text(path) as file:
        if path.suffix == ".json":
            listed = [{**asdict(row), "edits": _edit_list(row)} for row in rows]
            json.dump(listed, file, indent=1, ensure_ascii=False)
            return
        writer = csv.DictWriter(file, [field.name for field in fields(Row)])
        writer.writeheader()
        for row in rows:
            cells = asdict(row)
            writer.writerow({**cells, **{name: path_cell(cells[name]) for name in _PATHS}})


def _edit_list(row: Row) -> list[str]:
    return row.edits.split(EDIT_SEPARATOR) if row.edits else []


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
    with atomic_text(path) as file:
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
        "files": result.files,
        "usable": len(result.synced.digests),
        "unreadable": len(result.synced.failures),
        "links_skipped": result.links,
        "raw_files_kept_with_a_photo": result.raw_twins,
        "formats_skipped": result.skipped,
        "unreadable_folders": len(result.unreadable_folders),
        "embedded": result.synced.embedded,
        "reused": result.synced.reused,
        "forgotten": result.synced.forgotten,
        "candidates": result.candidates,
        "compared": result.compared,
        "not_comparable": result.uncompared,
        "pairs": len(rows),
        "groups": len({row.group for row in rows}),
        "precision": result.precision,
        "threshold": result.threshold,
        "seconds": result.seconds,
    }
