"""Run numbered cases in a process that may crash or hang, and count their outcomes."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

Job = Callable[[int], str]  # number of a case -> outcome, the part before ":" is counted
_PREPARATION_SECONDS = 120.0
_EXAMPLES = 5  # of every bad outcome that a report lists


def options_of(description: str, *, count: int) -> argparse.ArgumentParser:
    """Return a parser with the options that all campaigns have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--count", type=int, default=count, help="cases, of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=20.0, help="seconds that a case may take")
    parser.add_argument("--only", nargs="*", default=[], help="kinds to try")
    parser.add_argument("--report", type=Path, help="file for the counts as JSON")
    return parser


def run_cases(make_job: Callable[[], Job], count: int, *, limit: float) -> dict[str, Any]:
    """Run cases 0 ... count - 1 one after the other.

    Args:
        make_job: called in the process; what it prepares serves all of its cases.
        count: number of cases.
        limit: seconds that a case may take before its process is ended.

    Returns:
        ``counts`` by outcome, ``slowest`` case in seconds, and ``examples`` of each bad outcome.
    """
    context = multiprocessing.get_context("fork")
    counts: Counter[str] = Counter()
    examples: dict[str, list[str]] = {}
    slowest, done = 0.0, 0

    def take(outcome: str, number: int, seconds: float) -> None:
        nonlocal slowest
        name = outcome.split(":")[0]
        counts[name] += 1
        slowest = max(slowest, seconds)
        if ":" in outcome and len(examples.setdefault(name, [])) < _EXAMPLES:
            examples[name].append(f"case {number}{outcome[len(name) :]}")

    while done < count:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(make_job, done, count, theirs))
        process.start()
        theirs.close()
        started = time.monotonic()
        try:
            ready = False
            if not ours.poll(_PREPARATION_SECONDS) or ours.recv() != "ready":
                raise RuntimeError("the preparation of a campaign takes too long")
            ready = True
            while done < count and ours.poll(limit):
                number, outcome, seconds = ours.recv()
                take(outcome, number, seconds)
                done = number + 1
            if done < count:
                take("hang: no answer", done, time.monotonic() - started)
                done += 1
        except EOFError:
            process.join()
            if not ready:
                raise RuntimeError("the preparation of a campaign failed") from None
            take(f"crash: exit code {process.exitcode}", done, 0.0)
            done += 1
        finally:
            process.kill()
            process.join()
            ours.close()
    return {"counts": dict(counts), "slowest": round(slowest, 2), "examples": examples}


def _work(make_job: Callable[[], Job], start: int, count: int, answers: Connection) -> None:
    job = make_job()
    # Decoders print what they think of a file; what escapes is sent.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    answers.send("ready")
    for number in range(start, count):
        began = time.monotonic()
        try:
            outcome = job(number)
        except BaseException as error:  # whatever escapes is what the campaign looks for
            text = " ".join(str(error).split())[:200]
            outcome = f"traceback: {type(error).__name__} {text}"
        answers.send((number, outcome, time.monotonic() - began))


def finish(report: dict[str, Any], path: Path | None, *, bad: set[str]) -> int:
    """Print a table of kinds and outcomes, write the report; 1 where a bad outcome occurred."""
    names = sorted({name for part in report.values() for name in part["counts"]})
    print(f"{'':24}" + "".join(f"{name:>22}" for name in [*names, "slowest, s"]))
    for kind, part in report.items():
        cells = [f"{part['counts'].get(name, 0):>22}" for name in names]
        print(f"{kind:24}" + "".join(cells) + f"{part['slowest']:>22}")
    failed = False
    for kind, part in report.items():
        for name, lines in part["examples"].items():
            failed |= name in bad
            for line in lines if name in bad else ():
                print(f"{kind}, {name}, {line}", file=sys.stderr)
    if path:
        path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return int(failed)
