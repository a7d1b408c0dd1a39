"""Merge the pairs of searches whose references or queries were shared out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asl.counts import counted
from asl.data.pairs import read_columns, read_pairs
from asl.pipeline.verification import Columns, take_columns
from asl.types import I64, AslError, ScoredPairs, UsageError


@dataclass(frozen=True, eq=False)
class MergedLists:
    """Pairs of several lists.

    Attributes:
        pairs: by query (in the order in which the lists name them), then by falling score.
        columns: further columns of the lists, one value a pair.
        short: lists in which no query has as many references as were asked for, and how many the
            longest has.
    """

    pairs: ScoredPairs
    columns: Columns
    short: Mapping[Path, int]


def merge_lists(paths: Sequence[Path], *, k: int | None, most: int | None) -> MergedLists:
    """Merge lists of pairs, each of which a search wrote.

    Args:
        paths: CSV or Parquet files.
        k: references per query to keep, those of highest score (equal ones by id); None: all.
        most: pairs over all queries to keep (equal ones of the earlier query); None: all.

    Raises:
        UsageError: there is no such file.
        AslError: a file cannot be read, the files have different columns, or a pair is in two.
    """
    for path in paths:
        if not path.is_file():
            raise UsageError(f"lists: there is no file {path}; give lists that `asl search` wrote")
    lists = [read_pairs(path) for path in paths]
    columns = [read_columns(path) for path in paths]
    for path, other in zip(paths[1:], columns[1:], strict=True):
        if other.keys() != columns[0].keys():
            raise AslError(
                f"{path}: has the columns {', '.join(other) or 'of pairs alone'}, {paths[0]} has "
                f"{', '.join(columns[0]) or 'those of pairs alone'}; search all parts with one "
                "score and model"
            )
    joined = _joined(lists)
    _check_unique(joined, paths, [len(pairs) for pairs in lists])
    # Empty columns of a CSV have no type.
    filled = [part for part, pairs in zip(columns, lists, strict=True) if len(pairs)] or columns
    together = {name: np.concatenate([part[name] for part in filled]) for name in columns[0]}
    rows = _best_rows(joined, k=k, most=most)
    short = {
        path: longest
        for path, longest in zip(paths, map(_longest, lists), strict=True)
        if k is not None and 0 < longest < k
    }
    return MergedLists(joined.take(rows), take_columns(together, rows), short)


def _joined(lists: Sequence[ScoredPairs]) -> ScoredPairs:
    """Join all pairs under one list of queries and one of references."""
    queries = list(dict.fromkeys(name for pairs in lists for name in pairs.queries.tolist()))
    references = sorted({name for pairs in lists for name in pairs.references.tolist()})
    query_row = {name: row for row, name in enumerate(queries)}
    reference_row = {name: row for row, name in enumerate(references)}
    query_index: list[I64] = []
    reference_index: list[I64] = []
    for pairs in lists:
        rows = np.array([query_row[name] for name in pairs.queries.tolist()], dtype=np.int64)
        query_index.append(rows[pairs.query_index])
        rows = np.array([reference_row[name] for name in pairs.references.tolist()], dtype=np.int64)
        reference_index.append(rows[pairs.reference_index])
    return ScoredPairs(
        np.array(queries, dtype=np.str_),
        np.array(references, dtype=np.str_),
        np.concatenate(query_index),
        np.concatenate(reference_index),
        np.concatenate([pairs.scores for pairs in lists]),
    )


def _check_unique(pairs: ScoredPairs, paths: Sequence[Path], lengths: Sequence[int]) -> None:
    """Refuse a pair that is in two lists: their parts overlap."""
    key = pairs.query_index * max(1, len(pairs.references)) + pairs.reference_index
    order = np.argsort(key, kind="stable")
    again = np.flatnonzero(np.diff(key[order]) == 0)
    if len(again):
        first, second = order[again[0]], order[again[0] + 1]
        ends = np.cumsum(lengths)
        files = [paths[int(np.searchsorted(ends, row, side="right"))] for row in (first, second)]
        raise AslError(
            f"{files[0]}, {files[1]}: {counted(len(again), 'pair is', 'pairs are')} in both, e.g. "
            f"{str(pairs.query_ids[first])!r} and {str(pairs.reference_ids[first])!r}; give parts "
            "that share no references, or no queries"
        )


def _longest(pairs: ScoredPairs) -> int:
    """Return the number of references of the query that has most."""
    return int(np.bincount(pairs.query_index).max()) if len(pairs) else 0


def _best_rows(pairs: ScoredPairs, *, k: int | None, most: int | None) -> I64:
    """Return the rows of the best pairs, by query, then by falling score, then by reference."""
    order = np.lexsort((pairs.reference_index, -pairs.scores, pairs.query_index))
    first = np.searchsorted(pairs.query_index[order], pairs.query_index[order], side="left")
    if k is not None:
        order = order[np.arange(len(order)) - first < k]
    if most is not None:
        order = order[np.sort(np.argsort(-pairs.scores[order], kind="stable")[:most])]
    return np.asarray(order, dtype=np.int64)
