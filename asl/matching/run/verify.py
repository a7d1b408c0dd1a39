"""Second stage of a search: candidate pairs in, pairs scored by what their pixels say out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asl.matching.decision.rivals import Pair, explained_away
from asl.matching.run.disk_cache import Cache
from asl.matching.run.workers import LoadImage, QueryTask, run_tasks
from asl.matching.values import Verdict
from asl.matching.verifier import Verifier
from asl.types import AslError, ScoredPairs

Progress = Callable[[int, int], None]
_PAIRS = 200  # for which another process pays
_UNSEEN = 0.05  # highest score of a pair that only its embeddings speak for


@dataclass(frozen=True)
class Budget:
    """How much may be spent; what is left over keeps the order of its embedding score, below .05.

    Attributes:
        pairs: most pairs that are looked at (None: all).
        seconds: wall-clock seconds after which no new query is begun (None: no limit).
    """

    pairs: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.pairs is not None and self.pairs < 0:
            raise AslError(f"budget.pairs: must be 0 or more, got {self.pairs}")
        if self.seconds is not None and not self.seconds >= 0:
            raise AslError(f"budget.seconds: must be 0 or more, got {self.seconds}")


@dataclass(frozen=True, eq=False)
class Verified:
    """Verified pairs.

    Attributes:
        pairs: the candidates in their order; scores in 0..1, the probability that the query is a
            copy of the reference where the pair was seen (lower where another candidate explains
            the same part of the query better), else a value below 0.05 in the order of the
            embedding scores.
        verdicts: row of ``pairs`` -> verdict on that pair alone, but for the name of a better
            candidate in its reason; rows that were not looked at are missing.
        kin: two rows of one query -> probability that their references are copies of each other,
            where it was asked.
        failures: ``query:ID`` or ``reference:ID`` -> why the image could not be read.
        seconds: wall-clock seconds spent.
    """

    pairs: ScoredPairs
    verdicts: Mapping[int, Verdict]
    kin: Mapping[Pair, float] = field(default_factory=dict)
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
    progress: Progress | None = None,
) -> Verified:
    """Look at candidate pairs, best first, and score them by the probability that the query is a copy.

    Args:
        pairs: candidates with embedding scores (higher = surer), e.g. the top 10 of a search.
        load_query: query id -> uint8 ``[H, W, 3]`` RGB; an ``AslError`` or ``OSError`` is a failure
            of that image.
        load_reference: the same for references. Both must be picklable where ``workers`` > 1.
        verifier: the packaged one unless given.
        workers: processes; 0 and 1 stay in this one, None is one a core where there are many pairs.
            The answer does not depend on it (a time limit aside).
        budget: limits; none unless given.
        cache: folder that keeps the local features of references between runs.
        collection: which set of references the cache is about (two sets may use the same ids).
        progress: called with (pairs done, pairs to do).

    Raises:
        AslError: a loader that cannot be sent to other processes.
    """
    started = time.monotonic()
    verifier = verifier or Verifier()
    budget = budget or Budget()
    kept = None if cache is None else Cache(cache, verifier.settings, collection)
    done = 0
    verdicts: dict[int, Verdict] = {}
    kin: dict[Pair, float] = {}
    failures: dict[str, str] = {}
    chosen = _best_first(pairs, budget.pairs)
    if workers is None:  # a process takes a second or two to start
        workers = min(os.cpu_count() or 1, 1 + len(chosen) // _PAIRS)
    deadline = None if budget.seconds is None else started + budget.seconds
    tasks = _tasks(pairs, chosen)
    for result in run_tasks(
        tasks,
        load_query,
        load_reference,
        verifier=verifier,
        cache=kept,
        workers=workers,
        deadline=deadline,
    ):
        verdicts.update(result.verdicts)
        kin.update(result.kin)
        failures.update(result.failures)
        done += result.rows
        if progress is not None:
            progress(done, len(chosen))
    scores, better = combined_scores(pairs, verdicts, kin=kin)
    for row, rival in better.items():
        name = pairs.references[pairs.reference_index[rival]]
        reason = f"{verdicts[row].reason}; {name} explains this part of the query better"
        verdicts[row] = replace(verdicts[row], reason=reason)
    seconds = time.monotonic() - started
    return Verified(
        pairs.with_scores(scores), dict(sorted(verdicts.items())), kin, failures, seconds
    )


def _best_first(pairs: ScoredPairs, limit: int | None) -> npt.NDArray[np.int64]:
    """Rows in the order of looking: every query's best candidate, surest query first, then the second best ..."""
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


def _tasks(pairs: ScoredPairs, chosen: npt.NDArray[np.int64]) -> Iterator[QueryTask]:
    """The chosen rows by query, queries in the order of their best candidate."""
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
    rivals: bool = True,
    kin: Mapping[Pair, float] | None = None,
) -> tuple[npt.NDArray[np.float64], dict[int, int]]:
    """Probabilities where the pixels spoke, the embedding's order below 0.05 where they could not.

    Args:
        pairs: candidates with embedding scores.
        verdicts: row of ``pairs`` -> verdict.
        rivals: compare the candidates of a query with each other, too
            (:mod:`asl.matching.decision.rivals`).
        kin: which references are copies of each other and so no rivals.

    Returns:
        float64 ``[N]`` in 0..1; and, for rows that are probable alone and no longer so, the row of
        the rival.
    """
    embedding = 0.5 + 0.5 * pairs.scores / (
        1.0 + np.abs(pairs.scores)
    )  # any real number to 0..1, same order
    scores: npt.NDArray[np.float64] = _UNSEEN * embedding.astype(np.float64)
    seen = np.array([row for row, verdict in verdicts.items() if verdict.seen], dtype=np.int64)
    if not len(seen):
        return scores, {}
    odds = np.zeros(len(pairs))
    alone = np.clip([verdicts[row].probability for row in seen.tolist()], 1e-9, 1 - 1e-9)
    odds[seen] = np.log(alone / (1.0 - alone))
    better: dict[int, int] = {}
    if rivals:
        taken, surer = explained_away(pairs.query_index, odds, verdicts, kin or {})
        better = {
            row: int(surer[row]) for row in np.flatnonzero((odds >= 0) & (odds < taken)).tolist()
        }
        odds -= taken
    # The embedding orders pairs that the pixels find equal.
    scores[seen] = (1.0 - 1e-6) / (1.0 + np.exp(-odds[seen])) + 1e-6 * embedding[seen]
    return scores, better
