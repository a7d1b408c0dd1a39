"""Verifying in this process or in several: one task is one query and its candidates."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from asl.matching.align.prepare import Prepared
from asl.matching.decision.rivals import Pair, kinship
from asl.matching.run.disk_cache import Cache
from asl.matching.run.memory_cache import Recent
from asl.matching.values import Verdict
from asl.matching.verifier import Verifier
from asl.parallel import spawned_map
from asl.types import AslError

_KEPT_BYTES = 64 << 20  # of prepared references in each process: some two hundred at 320 pixels
# of kinship: what is missing to 1 lets rivals take a hundredth of the usual, so back need not be
# asked
_SURE = 0.99
LoadImage = Callable[[str], npt.NDArray[np.uint8]]


@dataclass(frozen=True)
class QueryTask:
    """One query and the rows (row number, reference id) to look at, best first."""

    query_id: str
    references: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class TaskResult:
    """Verdicts by row number, which references are copies of each other, and images that could not be read.

    ``kin``: see :func:`asl.matching.decision.rivals.kinship`; ``failures``: ``role:id`` -> why;
    ``rows``: how many were asked about, readable or not.
    """

    verdicts: dict[int, Verdict] = field(default_factory=dict)
    kin: dict[Pair, float] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    rows: int = 0


@dataclass(frozen=True, eq=False)
class Bench:
    """What one process needs to work on tasks."""

    load_query: LoadImage
    load_reference: LoadImage
    verifier: Verifier
    cache: Cache | None
    recent: Recent[str, Prepared] = field(default_factory=lambda: Recent(_KEPT_BYTES))

    def work(self, task: QueryTask) -> TaskResult:
        """Look at one query's candidates."""
        result, seen = TaskResult(rows=len(task.references)), {}
        query = self._read("query", task.query_id, self.load_query, None, result)
        if query is None:
            return result
        for row, reference_id in task.references:
            reference = self._reference(reference_id, result)
            if reference is None:
                continue
            verdict = self.verifier.judge(query, reference)
            result.verdicts[row], seen[row] = verdict, reference
        result.kin.update(
            kinship(result.verdicts, lambda one, other: self._related(seen[one], seen[other]))
        )
        return result

    def _related(self, one: Prepared, other: Prepared) -> float:
        """That one of two references was made from the other."""
        there = self.verifier.judge(one, other)
        surest = there.probability if there.seen else 0.0
        if surest >= _SURE or not there.evidence.aligned:
            return surest
        back = self.verifier.judge(other, one)
        return max(surest, back.probability if back.seen else 0.0)

    def _reference(self, image_id: str, result: TaskResult) -> Prepared | None:
        """A reference, prepared: the candidates of one query are often those of the next one, too."""
        known = self.recent.get(image_id)
        if known is None:
            known = self._read("reference", image_id, self.load_reference, self.cache, result)
            if known is None:
                return None
            self.recent.put(image_id, known, known.nbytes)
        return replace(
            known
        )  # what is made of it on use stays with this query: nobody counts its bytes

    def _read(
        self, role: str, image_id: str, load: LoadImage, cache: Cache | None, result: TaskResult
    ) -> Prepared | None:
        known = cache.get(role, image_id) if cache is not None else None
        if known is not None:
            return known
        try:
            prepared = self.verifier.prepare(load(image_id))
        except (AslError, OSError) as error:
            result.failures[f"{role}:{image_id}"] = str(error)
            return None
        if cache is not None:
            cache.put(role, image_id, prepared)
        return prepared


def run_tasks(
    tasks: Iterator[QueryTask],
    load_query: LoadImage,
    load_reference: LoadImage,
    *,
    verifier: Verifier,
    cache: Cache | None,
    workers: int,
    deadline: float | None,
) -> Iterator[TaskResult]:
    """Results in the order of the tasks; no task is begun after the deadline (``time.monotonic()``)."""
    bench = Bench(load_query, load_reference, verifier, cache)
    in_time = _until(tasks, deadline)
    if workers <= 1:
        yield from map(bench.work, in_time)
        return
    yield from spawned_map(bench.work, in_time, processes=workers)


def _until(tasks: Iterator[QueryTask], deadline: float | None) -> Iterator[QueryTask]:
    for task in tasks:
        if deadline is not None and time.monotonic() >= deadline:
            return
        yield task
