"""Run verification tasks in this process or in several; a task is a query and its candidates."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from asl.matching.align.prepare import Prepared
from asl.matching.decision.competing_candidates import Pair, near_duplicate_references
from asl.matching.run.disk_cache import Cache
from asl.matching.run.memory_cache import LruCache
from asl.matching.values import Verdict
from asl.matching.verifier import Verifier
from asl.parallel import spawned_map
from asl.types import U8, AslError

_CACHE_BYTES = 64 << 20  # prepared references in each process: some two hundred at 320 pixels
# Probability of near-duplicates from which the other direction is not verified: competing
# candidates then take a hundredth of the usual at most.
_SURE_DUPLICATE = 0.99
LoadImage = Callable[[str], U8]
# (verdict on query -> reference, query, reference, verifier) -> more about that pair.
Inspect = Callable[[Verdict, Prepared, Prepared, Verifier], Any]


@dataclass(frozen=True)
class QueryTask:
    """One query and its candidates.

    Attributes:
        query_id: the query.
        references: (row number, reference id) of each candidate, best first.
    """

    query_id: str
    references: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class TaskResult:
    """Result of one task.

    Attributes:
        verdicts: row number -> verdict.
        inspected: row number -> what the inspection says of the pair.
        near_duplicates: two rows -> probability that their references are copies of each other; see
            :func:`asl.matching.decision.competing_candidates.near_duplicate_references`.
        failures: ``role:id`` -> reason why the image could not be read.
        rows: number of candidates of the task, readable or not.
    """

    verdicts: dict[int, Verdict] = field(default_factory=dict)
    inspected: dict[int, Any] = field(default_factory=dict)
    near_duplicates: dict[Pair, float] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    rows: int = 0


@dataclass(frozen=True, eq=False)
class TaskVerifier:
    """Verify tasks in one process.

    Attributes:
        load_query: query id -> uint8 ``[H, W, 3]`` RGB.
        load_reference: reference id -> uint8 ``[H, W, 3]`` RGB.
        verifier: of the pairs.
        cache: prepared references on disk; None for no cache.
        recent: prepared references in memory.
        inspect: is asked more of every pair with enough structure; None: nothing.
    """

    load_query: LoadImage
    load_reference: LoadImage
    verifier: Verifier
    cache: Cache | None
    recent: LruCache[str, Prepared] = field(default_factory=lambda: LruCache(_CACHE_BYTES))
    inspect: Inspect | None = None

    def work(self, task: QueryTask) -> TaskResult:
        """Verify the candidates of one query."""
        result = TaskResult(rows=len(task.references))
        readable: dict[int, Prepared] = {}
        query = self._read("query", task.query_id, self.load_query, None, result)
        if query is None:
            return result
        for row, reference_id in task.references:
            reference = self._reference(reference_id, result)
            if reference is None:
                continue
            verdict = self.verifier.verify_prepared(query, reference)
            result.verdicts[row] = verdict
            if self.inspect is not None and verdict.seen:
                result.inspected[row] = self.inspect(verdict, query, reference, self.verifier)
            readable[row] = reference
        result.near_duplicates.update(
            near_duplicate_references(
                result.verdicts, lambda one, other: self._related(readable[one], readable[other])
            )
        )
        return result

    def _related(self, one: Prepared, other: Prepared) -> float:
        """Probability that one of two references is a copy of the other, in either direction."""
        forward = self.verifier.verify_prepared(one, other)
        surest = forward.probability if forward.seen else 0.0
        if surest >= _SURE_DUPLICATE or not forward.evidence.aligned:
            return surest
        backward = self.verifier.verify_prepared(other, one)
        return max(surest, backward.probability if backward.seen else 0.0)

    def _reference(self, image_id: str, result: TaskResult) -> Prepared | None:
        """Prepare a reference, from memory where an earlier query had the same candidate."""
        prepared = self.recent.get(image_id)
        if prepared is None:
            prepared = self._read("reference", image_id, self.load_reference, self.cache, result)
            if prepared is None:
                return None
            if self.verifier.settings.learned:
                prepared = prepared.with_learned()
            self.recent.put(image_id, prepared, prepared.nbytes)
        # A copy per query: cached properties would grow the stored value beyond its counted bytes.
        return replace(prepared)

    def _read(
        self, role: str, image_id: str, load: LoadImage, cache: Cache | None, result: TaskResult
    ) -> Prepared | None:
        """Prepare an image, from the disk cache where possible; record a failure in ``result``."""
        cached = cache.get(role, image_id) if cache is not None else None
        if cached is not None:
            return cached
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
    inspect: Inspect | None = None,
) -> Iterator[TaskResult]:
    """Run tasks and yield their results in order.

    Args:
        tasks: one per query.
        load_query: query id -> uint8 ``[H, W, 3]`` RGB.
        load_reference: the same for references.
        verifier: of the pairs.
        cache: prepared references on disk; None for no cache.
        workers: number of processes; 0 and 1 for this one.
        deadline: ``time.monotonic()`` after which no task is started; None for no limit.
        inspect: is asked more of every pair with enough structure; None: nothing.

    Raises:
        AslError: a loader that cannot be sent to other processes.
    """
    task_verifier = TaskVerifier(load_query, load_reference, verifier, cache, inspect=inspect)
    in_time = _until(tasks, deadline)
    if workers <= 1:
        yield from map(task_verifier.work, in_time)
        return
    yield from spawned_map(task_verifier.work, in_time, processes=workers)


def _until(tasks: Iterator[QueryTask], deadline: float | None) -> Iterator[QueryTask]:
    """Pass tasks on until the deadline."""
    for task in tasks:
        if deadline is not None and time.monotonic() >= deadline:
            return
        yield task
