"""Verify candidate pairs: second stage of a search, scoring pairs by their aligned pixels."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from asl.matching.decision.competing_candidates import Pair, explained_away
from asl.matching.run.disk_cache import Cache
from asl.matching.run.workers import Inspect, LoadImage, QueryTask, run_tasks
from asl.matching.values import Verdict
from asl.matching.verifier import Verifier
from asl.types import F64, I64, AslError, Progress, ScoredPairs

_PAIRS_PER_PROCESS = 200  # pairs for which starting another process pays
_MAX_UNVERIFIED = 0.05  # highest score of a pair that only its embeddings support


@dataclass(frozen=True)
class Budget:
    """Verification budget. Unverified pairs keep their embedding order with scores below 0.05.

    Attributes:
        pairs: maximum number of pairs to verify (None: all).
        seconds: wall-clock seconds after which no new query is started (None: no limit).

    Raises:
        AslError: a negative limit.
    """

    pairs: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.pairs is not None and self.pairs < 0:
            raise AslError(f"budget.pairs: expected 0 or more, got {self.pairs}")
        if self.seconds is not None and not self.seconds >= 0:
            raise AslError(f"budget.seconds: expected 0 or more, got {self.seconds}")


@dataclass(frozen=True, eq=False)
class Verified:
    """Verified pairs.

    Attributes:
        pairs: the candidates in their order; scores in 0..1: the probability that the query is a
            copy of the reference where the pair was verified (lower where another candidate
            explains the same part of the query better), else a value below 0.05 in the order of the
            embedding scores.
        verdicts: row of ``pairs`` -> verdict on that pair alone, except that its reason names a
            better candidate; rows that were not verified are missing.
        inspected: row of ``pairs`` -> what ``inspect`` returned for it.
        near_duplicates: two rows of one query -> probability that their references are copies of
            each other, where it was estimated.
        failures: ``query:ID`` or ``reference:ID`` -> reason why the image could not be read.
        seconds: wall-clock seconds spent.
    """

    pairs: ScoredPairs
    verdicts: Mapping[int, Verdict]
    inspected: Mapping[int, Any] = field(default_factory=dict)
    near_duplicates: Mapping[Pair, float] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0


def verify_pairs(
    pairs: ScoredPairs,
    *,
    load_query: LoadImage,
    load_reference: LoadImage,
    verifier: Verifier | None = None,
    workers: int | None = 0,
    budget: Budget | None = None,
    cache: Path | None = None,
    collection: str = "",
    inspect: Inspect | None = None,
    progress: Progress | None = None,
) -> Verified:
    """Verify candidate pairs, best first; score = probability that the query is a copy.

    Args:
        pairs: candidates with embedding scores (higher = surer), e.g. the top 10 of a search.
        load_query: query id -> uint8 ``[H, W, 3]`` RGB; an ``AslError`` or ``OSError`` is recorded
            as a failure of that image.
        load_reference: the same for references. Both must be picklable where ``workers`` > 1.
        verifier: the packaged one unless given.
        workers: number of processes; 0 and 1 for this one, None for one per core where there are
            many pairs. The result does not depend on it (a time limit aside).
        budget: limits; none unless given.
        cache: folder of prepared references, kept between runs.
        collection: identifies the set of references in the cache (two sets may use the same ids).
        inspect: (verdict, query, reference, verifier) -> more about a pair, such as its other
            direction; asked, in the process that has the prepared images, of every pair with enough
            structure to compare. Picklable where ``workers`` > 1.
        progress: called with (pairs done, pairs to do).

    Returns:
        Scores, verdicts and unreadable images; see :class:`Verified`.

    Raises:
        AslError: a loader that cannot be sent to other processes.
    """
    started = time.monotonic()
    verifier = verifier or Verifier()
    budget = budget or Budget()
    disk_cache = None if cache is None else Cache(cache, verifier.settings, collection)
    done = 0
    verdicts: dict[int, Verdict] = {}
    inspected: dict[int, Any] = {}
    near_duplicates: dict[Pair, float] = {}
    failures: dict[str, str] = {}
    chosen = _best_first(pairs, budget.pairs)
    if workers is None:  # a process takes a second or two to start
        workers = min(os.cpu_count() or 1, 1 + len(chosen) // _PAIRS_PER_PROCESS)
    deadline = None if budget.seconds is None else started + budget.seconds
    tasks = _tasks(pairs, chosen)
    for result in run_tasks(
        tasks,
        load_query,
        load_reference,
        verifier=verifier,
        cache=disk_cache,
        workers=workers,
        deadline=deadline,
        inspect=inspect,
    ):
        verdicts.update(result.verdicts)
        inspected.update(result.inspected)
        near_duplicates.update(result.near_duplicates)
        failures.update(result.failures)
        done += result.rows
        if progress is not None:
            progress(done, len(chosen))
    scores, better = combined_scores(pairs, verdicts, near_duplicates=near_duplicates)
    for row, competitor in better.items():
        name = pairs.references[pairs.reference_index[competitor]]
        reason = f"{verdicts[row].reason}; {name} explains this part of the query better"
        verdicts[row] = replace(verdicts[row], reason=reason)
    seconds = time.monotonic() - started
    return Verified(
        pairs=pairs.with_scores(scores),
        verdicts=dict(sorted(verdicts.items())),
        inspected=inspected,
        near_duplicates=near_duplicates,
        failures=failures,
        seconds=seconds,
    )


def _best_first(pairs: ScoredPairs, limit: int | None) -> I64:
    """Order the rows: every query's best candidate, surest first, then the second best ..."""
    if len(pairs) == 0:
        return np.empty(0, dtype=np.int64)
    by_query = np.lexsort((pairs.reference_index, -pairs.scores, pairs.query_index))
    queries = pairs.query_index[by_query]
    first = np.r_[True, queries[1:] != queries[:-1]]
    starts = np.flatnonzero(first)[np.cumsum(first) - 1]
    rank = np.empty(len(pairs), dtype=np.int64)
    rank[by_query] = np.arange(len(pairs)) - starts
    order = np.lexsort((pairs.reference_index, pairs.query_index, -pairs.scores, rank))
    return np.asarray(order[:limit], dtype=np.int64)


def _tasks(pairs: ScoredPairs, chosen: I64) -> Iterator[QueryTask]:
    """Group the chosen rows by query, queries in the order of their best candidate."""
    groups: dict[int, list[int]] = {}
    for row in chosen.tolist():
        groups.setdefault(int(pairs.query_index[row]), []).append(row)
    for query, rows in groups.items():
        references = [(row, str(pairs.references[pairs.reference_index[row]])) for row in rows]
        yield QueryTask(str(pairs.queries[query]), tuple(references))


def combined_scores(
    pairs: ScoredPairs,
    verdicts: Mapping[int, Verdict],
    *,
    competition: bool = True,
    near_duplicates: Mapping[Pair, float] | None = None,
) -> tuple[F64, dict[int, int]]:
    """Combine probabilities of verified pairs and embedding scores (below 0.05) of the others.

    Args:
        pairs: candidates with embedding scores.
        verdicts: row of ``pairs`` -> verdict.
        competition: lower candidates of a query that a competing candidate explains better
            (:mod:`asl.matching.decision.competing_candidates`).
        near_duplicates: references that are copies of each other and do not compete.

    Returns:
        float64 ``[N]`` in 0..1; and, for rows that are probable alone but not beside a competitor,
        the row of the competitor.
    """
    # Any real number to 0..1, in the same order.
    embedding = 0.5 + 0.5 * pairs.scores / (1.0 + np.abs(pairs.scores))
    scores: F64 = _MAX_UNVERIFIED * embedding.astype(np.float64)
    seen = np.array([row for row, verdict in verdicts.items() if verdict.seen], dtype=np.int64)
    if not len(seen):
        return scores, {}
    odds = np.zeros(len(pairs))
    alone = np.clip([verdicts[row].probability for row in seen.tolist()], 1e-9, 1 - 1e-9)
    odds[seen] = np.log(alone / (1.0 - alone))
    better: dict[int, int] = {}
    if competition:
        loss, competitor = explained_away(pairs.query_index, odds, verdicts, near_duplicates or {})
        overtaken = np.flatnonzero((odds >= 0) & (odds < loss))
        better = {row: int(competitor[row]) for row in overtaken.tolist()}
        odds -= loss
    # The embedding breaks ties between equal probabilities.
    scores[seen] = (1.0 - 1e-6) / (1.0 + np.exp(-odds[seen])) + 1e-6 * embedding[seen]
    return scores, better
