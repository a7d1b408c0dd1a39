"""Ground truth in the ISC 2021 CSV format, with an optional column for the kind of each query.

``query_id,reference_id[,kind]``, header optional; a row with an empty reference names a query
without a match (a distractor, a hard negative). A query with several true references has several
rows.
"""

from __future__ import annotations

import csv
from pathlib import Path

from asl.data.csv_rows import cell_of, id_of, read_rows
from asl.storage import atomic_text, recorded
from asl.types import AslError, TruthPairs

HEADER = ["query_id", "reference_id", "kind"]


def read_truth(path: str | Path) -> TruthPairs:
    """Read ground truth.

    Raises:
        AslError: the file cannot be read, a line is malformed (its number is named), or a pair is
            there twice.
    """
    rows = read_rows(Path(path), header=HEADER[:2], optional=HEADER[2:])
    pairs: list[tuple[str, str]] = []
    queries: dict[str, None] = {}
    kinds: dict[str, str] = {}
    for number, row in rows:
        if len(row) not in (2, 3) or not row[0]:
            raise AslError(
                f"{path}, line {number}: expected query_id,reference_id[,kind], "
                f"got {','.join(row)!r}"
            )
        query, reference = map(id_of, row[:2])
        queries[query] = None
        if reference:
            pairs.append((query, reference))
        if len(row) == 3 and row[2] and kinds.setdefault(query, row[2]) != row[2]:
            raise AslError(
                f"{path}, line {number}: {query} is of two kinds, {kinds[query]!r} and {row[2]!r}; "
                "keep one"
            )
    if not queries:
        raise AslError(f"{path}: no query in it; expected rows query_id,reference_id")
    try:
        return TruthPairs.from_pairs(pairs, other_queries=queries, kinds=kinds)
    except AslError as error:
        raise AslError(f"{path}: {error}") from error


def write_truth(truth: TruthPairs, path: str | Path) -> None:
    """Write ground truth in the order of its queries, with ``kind`` only where one is known."""
    references: dict[str, list[str]] = {}
    for query, reference in zip(
        truth.query_ids.tolist(), truth.reference_ids.tolist(), strict=True
    ):
        references.setdefault(query, []).append(reference)
    with recorded(path), atomic_text(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER if truth.kinds else HEADER[:2])
        for query in truth.queries.tolist():
            kind = [truth.kinds.get(query, "")] if truth.kinds else []
            writer.writerows(
                [cell_of(query), cell_of(reference), *kind]
                for reference in references.get(query, [""])
            )


def read_groups(path: str | Path) -> dict[str, str]:
    """Read query id -> group from a CSV ``query_id,group`` (header optional).

    Raises:
        AslError: a line is malformed, or a query has two groups; the line is named.
    """
    groups: dict[str, str] = {}
    for number, row in read_rows(Path(path), header=["query_id", "group"]):
        if len(row) != 2 or not all(row):
            raise AslError(f"{path}, line {number}: expected query_id,group, got {','.join(row)!r}")
        query, group = id_of(row[0]), row[1]
        if groups.setdefault(query, group) != group:
            raise AslError(
                f"{path}, line {number}: {query} is in two groups, {groups[query]!r} and "
                f"{group!r}; keep one"
            )
    return groups
