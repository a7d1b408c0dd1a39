"""The answer of a scan as files that other programs read: CSV, Parquet or JSON, one row a pair."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asl.storage import atomic_path, atomic_text

if TYPE_CHECKING:
    from asl.app.scanning.result import Found, ScanResult

FORMATS = ("csv", "parquet", "json")


@dataclass(frozen=True)
class Row:
    """One accepted pair of files.

    Attributes:
        group: number of the group, from 1, largest first.
        original: path of the file that is probably the original.
        copy: path of the other one.
        probability: 0..1, that one was made from the other.
        direction: ``original->copy``, ``unclear``, or ``same file``.
        why: what speaks for that direction.
        edits: what was probably done, separated by ``; ``.
        reason: what the two have in common.
        cosine: of their embeddings.
        original_width: pixels.
        original_height: pixels.
        original_bytes: size of the file.
        original_log_norm: ln |f|; the larger one holds more of the original.
        copy_width: pixels.
        copy_height: pixels.
        copy_bytes: size of the file.
        copy_log_norm: ln |f|.
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


def rows_of(result: ScanResult) -> list[Row]:
    """Accepted pairs by group, surest first; identical files stand beside their content's first group, once."""
    rows: list[Row] = []
    listed: set[int] = set()
    for number, group in enumerate(result.groups(), start=1):
        members = [group.original, *(copy for copy, _ in group.copies)]
        rows += [_row(result, number, result.pairs[row]) for _, row in group.copies]
        for member in members:
            if member not in listed:
                listed.add(member)
                rows += _identical(result, number, member)
    return rows


def _row(result: ScanResult, group: int, pair: Found) -> Row:
    original, copy = result.images[pair.original], result.images[pair.copy]
    return Row(
        group,
        original.paths[0],
        copy.paths[0],
        pair.judgement.probability,
        "original->copy" if pair.origin.clear else "unclear",
        pair.origin.why,
        "; ".join(pair.judgement.edits),
        pair.reason,
        round(pair.cosine, 6),
        *_measures(result, pair.original),
        *_measures(result, pair.copy),
    )


def _identical(result: ScanResult, group: int, image: int) -> list[Row]:
    words = "", "exact copy", "the same file, byte for byte"
    sizes = _measures(result, image)
    return [
        Row(
            group,
            original,
            copy,
            1.0,
            "same file",
            words[0],
            words[1],
            words[2],
            1.0,
            *sizes,
            *sizes,
        )
        for original, copy in result.images[image].identical(across=result.across)
    ]


def _measures(result: ScanResult, image: int) -> tuple[int, int, int, float]:
    found = result.images[image]
    return found.facts.width, found.facts.height, found.facts.bytes, round(found.log_norm, 6)


def write_table(rows: list[Row], path: Path) -> None:
    """Write rows; the ending says how."""
    names = [field.name for field in fields(Row)]
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        kinds = {"int": pa.int64(), "float": pa.float64(), "str": pa.string()}
        schema = pa.schema([(field.name, kinds[str(field.type)]) for field in fields(Row)])
        with atomic_path(path) as temporary:
            pq.write_table(
                pa.Table.from_pylist([asdict(row) for row in rows], schema=schema), temporary
            )
        return
    with atomic_text(path) as file:
        if path.suffix == ".json":
            json.dump([asdict(row) for row in rows], file, indent=1, ensure_ascii=False)
            return
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def write_failures(failures: dict[str, str], path: Path) -> None:
    """Files that could not be read, and why."""
    with atomic_text(path) as file:
        writer = csv.writer(file)
        writer.writerow(("path", "reason"))
        writer.writerows(sorted(failures.items()))


def summary(result: ScanResult, rows: list[Row]) -> dict[str, Any]:
    """The numbers of a scan, ready for JSON; files = usable + unreadable."""
    groups = {row.group for row in rows}
    return {
        "files": result.files,
        "usable": len(result.synced.digests),
        "unreadable": len(result.synced.failures),
        "links_skipped": result.links,
        "formats_skipped": result.skipped,
        "embedded": result.synced.embedded,
        "reused": result.synced.reused,
        "forgotten": result.synced.forgotten,
        "candidates": result.candidates,
        "compared": result.looked_at,
        "not_comparable": result.uncompared,
        "pairs": len(rows),
        "groups": len(groups),
        "precision": result.precision,
        "threshold": result.threshold,
        "seconds": result.seconds,
    }
