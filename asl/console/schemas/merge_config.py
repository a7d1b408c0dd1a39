"""Merge the pairs of searches that were shared out between processes or machines.

Examples:
  asl merge part1.csv part2.csv --output pairs.csv             the 10 best references per query
  asl merge part*.parquet --k 100 --output pairs.parquet
  asl merge part*.csv --k null --most 500000 --output pairs.csv

Parts may share out the references, the queries, or both; each pair is in one part. The k best of
all references are among the k best of every part, so the result is that of one search if every part
was searched with the same model, score and constants and with at least this k (or most). paper and
verified depend on the other candidates of a query: with these, share out the queries only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from asl.shared_defaults import NEIGHBOURS


@dataclass(kw_only=True)
class MergeConfig:
    """Options of ``asl merge``.

    Attributes:
        lists: files of pairs that asl search wrote, .csv or .parquet.
        output: pairs as .csv or .parquet.
        k: references per query to keep; null: all.
        most: keep only the best pairs over all queries, this many; null: all.
    """

    lists: list[Path]
    output: Path
    k: int | None = NEIGHBOURS
    most: int | None = None
