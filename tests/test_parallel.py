"""Work in several processes gives what one would give, and a dead process is an error in words."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import pytest

from asl.parallel import spawned_map
from asl.types import AslError


@dataclass(frozen=True)
class Adder:
    """Adds a number; knows how many items its process has seen."""

    number: int

    def __call__(self, item: int) -> tuple[int, int, int]:
        if item == 13:
            raise AslError("thirteen")
        if item == 99:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.number + item, os.getpid(), cv2.getNumThreads()


@pytest.mark.parametrize(("chunk", "ahead"), [(1, 3), (4, 1)])
def test_results_come_in_order_from_several_processes(chunk: int, ahead: int) -> None:
    taken = []

    def items() -> object:
        for item in range(100, 140):
            taken.append(item)
            yield item

    results = spawned_map(Adder(1000), items(), processes=2, chunk=chunk, ahead=ahead)  # type: ignore[arg-type]
    first = next(results)
    assert len(taken) <= 2 * ahead * chunk, "items are taken as they are needed"
    every = [first, *results]
    assert [result[0] for result in every] == list(range(1100, 1140))
    assert os.getpid() not in {result[1] for result in every}
    assert {result[2] for result in every} == {1}, "one OpenCV thread a process"


def test_what_a_worker_raises_is_raised() -> None:
    results = spawned_map(Adder(0), [1, 13, 2], processes=1)
    assert next(results)[0] == 1
    with pytest.raises(AslError, match=r"^thirteen$"):
        next(results)


def test_a_killed_worker_is_an_error_in_words() -> None:
    with pytest.raises(AslError, match="workers=2: a worker process ended unexpectedly"):
        list(spawned_map(Adder(0), [1, 99, 2, 3, 4], processes=2))


def test_a_worker_that_cannot_be_sent_is_refused() -> None:
    with pytest.raises(AslError, match="workers=2: the image loaders cannot be sent"):
        list(spawned_map(lambda item: item, [1], processes=2))
    with pytest.raises(AslError, match="the lambda cannot be sent"):
        list(spawned_map(lambda item: item, [1], processes=2, what="the lambda"))


def test_who_stops_early_waits_for_no_rest() -> None:
    results = spawned_map(Adder(0), range(200, 100_000), processes=1)
    next(results)
    start = time.monotonic()
    results.close()  # type: ignore[attr-defined]
    assert time.monotonic() - start < 20


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at /proc")
def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent("""
            import os, sys, time
            from asl.parallel import spawned_map

            def work(path):
                with open(path + ".new", "w") as file:
                    file.write(str(os.getpid()))
                os.rename(path + ".new", path)
                time.sleep(300)

            if __name__ == "__main__":
                list(spawned_map(work, [sys.argv[1]], processes=1))
            """)
    )
    pid = tmp_path / "pid"
    parent = subprocess.Popen([sys.executable, str(script), str(pid)])
    try:
        deadline = time.monotonic() + 60
        while not pid.exists():
            assert time.monotonic() < deadline, "the worker did not start"
            time.sleep(0.05)
        worker = int(pid.read_text())
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    while _runs(worker):
        assert time.monotonic() < deadline, "the worker outlived its parent"
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
