"""Write leaks for other programs: a table of pairs, the files to drop, a summary."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any

from asl.app.leaks.find_leaks import KINDS, Leak, Leaks, Side, SplitOutcome
from asl.app.pairs.pair_verifier import verifier_id
from asl.app.scanning.tables import EDIT_SEPARATOR, path_cell
from asl.storage import atomic_text, recorded
from asl.version import __version__


@dataclass(frozen=True)
class LeakRow:
    """One leak; *train* is the split that was given first.

    Attributes:
        train_split: name of the split.
        train: path of its file.
        test_split: name of the other split.
        test: path of its file.
        kind: ``identical file``, ``same pixels``, ``copy``, ``crop`` or ``same moment``.
        probability: 0..1 that one is a copy of the other; of ``same moment``, that both are frames
            of one moment.
        direction: ``train->test`` (the original is in train), ``test->train``, ``unclear`` or
            ``same file``.
        why: strongest cue for the direction; empty where it is unclear.
        edits: probable edits of the copy, separated by ``; `` (a list in JSON).
        reason: content that the two share.
    """

    train_split: str
    train: str
    test_split: str
    test: str
    kind: str
    probability: float
    direction: str
    why: str
    edits: str
    reason: str


def leak_rows(leaks: Leaks) -> list[LeakRow]:
    """Return the rows of the table, with paths as they were typed."""
    return [_row(leaks, leak) for leak in leaks.leaks]


def _row(leaks: Leaks, leak: Leak) -> LeakRow:
    return LeakRow(
        leak.train_split,
        leaks.typed_path(leak.train),
        leak.test_split,
        leaks.typed_path(leak.test),
        leak.kind,
        leak.probability,
        leak.direction,
        leak.why,
        EDIT_SEPARATOR.join(leak.edits),
        leak.reason,
    )


def write_leaks(rows: Sequence[LeakRow], path: Path) -> None:
    """Write rows in the format of the path's ending: ``.csv``, ``.parquet`` or ``.json``."""
    if path.suffix == ".parquet":
        _write_parquet(rows, path)
        return
    with recorded(path), atomic_text(path) as file:
        if path.suffix == ".json":
            listed = [
                {**asdict(row), "edits": row.edits.split(EDIT_SEPARATOR) if row.edits else []}
                for row in rows
            ]
            json.dump(listed, file, indent=1, ensure_ascii=False)
            return
        writer = csv.DictWriter(file, [field.name for field in fields(LeakRow)])
        writer.writeheader()
        for row in rows:
            paths = {"train": path_cell(row.train), "test": path_cell(row.test)}
            writer.writerow({**asdict(row), **paths})


def _write_parquet(rows: Sequence[LeakRow], path: Path) -> None:
    import pyarrow as pa

    from asl.data.checked_parquet import write_parquet

    schema = pa.schema(
        [
            (field.name, pa.float64() if field.name == "probability" else pa.string())
            for field in fields(LeakRow)
        ]
    )
    write_parquet(pa.Table.from_pylist([asdict(row) for row in rows], schema=schema), path)


def write_drop_list(leaks: Leaks, side: Side, path: Path) -> None:
    """Write the files to remove, as CSV: their split and their path."""
    with recorded(path), atomic_text(path) as file:
        writer = csv.writer(file)
        writer.writerow(("split", "path"))
        writer.writerows(
            (split, path_cell(leaks.typed_path(name))) for split, name in leaks.to_drop(side)
        )


def leak_summary(
    leaks: Leaks,
    *,
    drop: Side,
    command: str,
    left_out: Mapping[str, Mapping[str, int]] | None = None,
) -> dict[str, Any]:
    """Summarise for JSON; images = processed + unreadable, for each split and together.

    Args:
        leaks: of a data set.
        drop: side whose files are listed to be removed.
        command: that ran it.
        left_out: parts of the data set that belong to no split, with their numbers.
    """
    dropped = Counter(split for split, _ in leaks.to_drop(drop))
    splits = {
        outcome.split.name: {**_split_numbers(outcome), "to_drop": dropped[outcome.split.name]}
        for outcome in leaks.splits
    }
    together = ("images", "processed", "unreadable", "to_drop")
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "version": __version__,
        "model": leaks.model,
        "model_hash": leaks.model_hash,
        "verifier": verifier_id(),
        **{name: sum(numbers[name] for numbers in splits.values()) for name in together},
        "leaks": len(leaks.leaks),
        "kinds": _kinds(leaks.leaks),
        "drop": drop,
        "splits": splits,
        "left_out": left_out or {},
        "comparisons": [
            _comparison(leaks, train, test) for train, test in combinations(leaks.splits, 2)
        ],
        "compared": leaks.compared,
        "skipped_as_hopeless": leaks.hopeless,
        "not_comparable": leaks.uncompared,
        "precision": leaks.precision,
        "threshold": leaks.threshold,
        "seconds": leaks.seconds,
    }


def _split_numbers(outcome: SplitOutcome) -> dict[str, Any]:
    listing = outcome.split.listing
    return {
        "images": len(listing.sources),
        "processed": outcome.processed,
        "unreadable": outcome.unreadable,
        "unreadable_folders": len(listing.unreadable),
        "formats_skipped": dict(listing.skipped),
        "repeated_rows": outcome.split.repeated,
    }


def _kinds(leaks: Sequence[Leak]) -> dict[str, int]:
    counts = Counter(leak.kind for leak in leaks)
    return {kind: counts[kind] for kind in KINDS}


def _comparison(leaks: Leaks, train: SplitOutcome, test: SplitOutcome) -> dict[str, Any]:
    names = train.split.name, test.split.name
    own = [leak for leak in leaks.leaks if (leak.train_split, leak.test_split) == names]
    affected = {leak.test for leak in own}
    return {
        "train": names[0],
        "test": names[1],
        "leaks": len(own),
        "kinds": _kinds(own),
        "test_images": test.processed,
        "test_affected": len(affected),
        "test_share": round(len(affected) / test.processed, 6) if test.processed else 0.0,
    }
