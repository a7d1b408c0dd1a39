"""A task beyond its limits is ended; the next one finds a process all the same."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import numpy as np
import pytest

from asl.data.endable_process import Budget, EndablePool, OutOfBudgetError, Parts
from asl.types import AslError

AMPLE = Budget(seconds=60.0, memory=1 << 30)


def echo(data: bytes) -> Parts:
    return "ü", [np.frombuffer(data, np.uint8), np.arange(6.0).reshape(2, 3)]


def process(_: bytes) -> Parts:
    return str(os.getpid()), []


def spin(_: bytes) -> Parts:
    while True:
        pass


def sleep(_: bytes) -> Parts:
    time.sleep(600)
    raise AssertionError


def crash(_: bytes) -> Parts:
    os.abort()


def fill(_: bytes) -> Parts:
    return "", [np.ones(1 << 29, np.uint8)[:1]]


def fail(_: bytes) -> Parts:
    raise AslError("no picture")


def chatter(_: bytes) -> Parts:
    os.write(1, b"printed by a library")
    return "quiet", []


@pytest.fixture
def pool() -> Iterator[EndablePool]:
    pool = EndablePool(2)
    yield pool
    pool.close()


def test_a_task_returns_text_and_arrays_from_a_warm_process(pool: EndablePool) -> None:
    text, (data, numbers) = pool.run(echo, b"\x00\xff", AMPLE)
    assert (text, data.tolist()) == ("ü", [0, 255])
    np.testing.assert_array_equal(numbers, np.arange(6.0).reshape(2, 3))
    assert pool.run(process, b"", AMPLE) == pool.run(process, b"", AMPLE)
    assert pool.run(chatter, b"", AMPLE)[0] == "quiet"


@pytest.mark.parametrize(
    ("task", "budget", "reason"),
    [
        (spin, Budget(1.0, 1 << 30), "more than 1 s of processor time"),
        (sleep, Budget(0.1, 1 << 30), "more than 0.1 s of processor time"),
        (fill, Budget(60.0, 256 << 20), "more than 268 MB of memory"),
        (crash, AMPLE, "the decoder crashed"),
        (fail, AMPLE, "^no picture$"),
    ],
)
def test_a_task_beyond_its_limits_is_ended(
    pool: EndablePool, task: object, budget: Budget, reason: str
) -> None:
    with pytest.raises(AslError, match=reason) as caught:
        pool.run(task, b"", budget)  # type: ignore[arg-type]
    assert isinstance(caught.value, OutOfBudgetError) == (task in (spin, sleep, crash))
    assert pool.run(echo, b"a", AMPLE)[0] == "ü"


def test_closing_ends_the_processes(pool: EndablePool) -> None:
    pool.warm(1)
    number = int(pool.run(process, b"", AMPLE)[0])
    pool.close()
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


def test_a_forked_process_starts_its_own(pool: EndablePool) -> None:
    before = pool.run(process, b"", AMPLE)[0]
    pool.forget()  # as after a fork
    assert pool.run(process, b"", AMPLE)[0] != before
    for other in pool._foreign:
        other.end()
