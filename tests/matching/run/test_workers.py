"""Tasks: references are read once, failures are recorded, the deadline ends the run."""

from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np
import pytest

from asl.matching import Settings, Verifier
from asl.matching.align.prepare import Prepared, prepare
from asl.matching.run import workers
from asl.matching.run.memory_cache import LruCache
from asl.matching.run.workers import QueryTask, TaskResult, TaskVerifier, run_tasks
from asl.matching.values import Evidence, Verdict
from tests.matching.conftest import Image, textured
from tests.matching.run.conftest import Images


def test_a_reference_is_read_once_while_it_is_remembered() -> None:
    read: list[str] = []

    def load(name: str) -> Image:
        read.append(name)
        return Images()(name)

    tasks = [QueryTask(query, ((0, "1"), (1, "2"))) for query in ("crop-1", "crop-2", "1")]
    size = max(prepare(textured(number), Settings()).with_learned().nbytes for number in (1, 2))
    found = {}
    for most, times in ((0, 3), (size, 3), (2 * size, 1)):
        read.clear()
        bench = TaskVerifier(Images(), load, Verifier(), None, LruCache(most))
        found[most] = [
            verdict.probability for task in tasks for verdict in bench.work(task).verdicts.values()
        ]
        assert read == ["1", "2"] * times
    assert found[0] == found[size] == found[2 * size]
    held = bench.recent.get("1")
    assert held is not None
    fields = {"image", "points", "scales", "angles", "descriptors", "stored"}
    assert set(vars(held)) == fields, "nothing beside what was counted"
    assert held.stored is not None
    assert held.nbytes > sum(getattr(held, name).nbytes for name in fields - {"stored"})


class ByBrightness:
    """Stub: an image is its brightness; a pair's probability is the smaller over the larger."""

    settings = Settings()

    def __init__(self) -> None:
        self.pairs: list[tuple[int, int]] = []

    def prepare(self, image: Image) -> Prepared:
        none = np.empty(0, np.float32)
        return Prepared(image, none.reshape(0, 2), none, none, np.empty((0, 128), np.uint8))

    def verify_prepared(self, query: Prepared, reference: Prepared) -> Verdict:
        pair = int(query.image[0, 0, 0]), int(reference.image[0, 0, 0])
        self.pairs.append(pair)
        return Verdict(min(pair) / max(pair), Evidence(), (), "", "none", True)


def plain(name: str) -> Image:
    if not name.isdigit():
        raise OSError(f"{name} is gone")
    return np.full((2, 2, 3), int(name), np.uint8)


def run(
    tasks: list[QueryTask], *, deadline: float | None = None, stub: ByBrightness | None = None
) -> list[TaskResult]:
    return list(
        run_tasks(
            iter(tasks),
            plain,
            plain,
            verifier=stub or ByBrightness(),  # type: ignore[arg-type]
            cache=None,
            workers=0,
            deadline=deadline,
        )
    )


def probabilities(result: TaskResult) -> dict[int, float]:
    return {row: verdict.probability for row, verdict in result.verdicts.items()}


def test_results_keep_the_order_and_name_what_could_not_be_read() -> None:
    tasks = [
        QueryTask("10", ((4, "20"), (2, "gone"), (7, "40"))),
        QueryTask("lost", ((0, "20"), (1, "10"))),
        QueryTask("30", ((3, "60"),)),
    ]
    first, second, third = run(tasks)
    assert {row: verdict.probability for row, verdict in first.verdicts.items()} == {
        4: 0.5,
        7: 0.25,
    }
    assert first.failures == {"reference:gone": "gone is gone"}
    assert (second.verdicts, second.failures) == ({}, {"query:lost": "lost is gone"})
    assert probabilities(third) == {3: 0.5}
    assert [result.rows for result in (first, second, third)] == [3, 2, 1]


def test_no_task_starts_after_the_deadline() -> None:
    tasks = [QueryTask("10", ((0, "20"),)), QueryTask("20", ((1, "40"),))]
    stub = ByBrightness()
    assert run(tasks, deadline=time.monotonic() - 1, stub=stub) == []
    assert stub.pairs == []
    assert len(run(tasks, deadline=time.monotonic() + 600)) == 2


def test_a_deadline_that_passes_during_a_task_lets_it_finish(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter([0.0, 5.0, 10.0])
    monkeypatch.setattr(workers, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    tasks = [QueryTask(str(10 * number), ((number, "80"),)) for number in (1, 2, 3, 4)]
    results = run(tasks, deadline=10.0)
    assert [list(result.verdicts) for result in results] == [[1], [2]]
