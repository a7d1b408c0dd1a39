"""Measure a scan by stage: wall-clock and processor seconds, and the memory of all its processes.

  python scripts/bench_scan.py PHOTOS [MORE ...] --output scan
  python scripts/bench_scan.py PHOTOS --output scan --truth OUT/truth.csv OUT/families.csv

The scan is the one of `asl scan` with the same options; those that are not listed here are at their
defaults. Processor seconds count the processes that a stage started. Memory is the largest sum of
the shares (PSS) of all processes, read from /proc once in a second (Linux). *Time left* is the
estimate that the line of progress shows, at five points of the scan, beside the time that was left.
"""

from __future__ import annotations

import argparse
import csv
import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from asl.app.scanning.scan_files import list_both
from asl.app.scanning.scan_folder import scan
from asl.app.scanning.scan_stages import PRIOR, scan_stages
from asl.app.scanning.tables import rows_of, summary, write_table
from asl.console.schemas.scan_config import ScanConfig
from asl.console.time_left import Stage, TimeLeft
from asl.shared_defaults import MODEL
from asl.storage import write_json

POINTS = (0.1, 0.2, 0.4, 0.6, 0.8)


@dataclass
class Cost:
    """Seconds of a stage, by the clock and of the processors, and its number of images or pairs."""

    wall: float = 0.0
    cpu: float = 0.0
    units: int = 0


@dataclass
class Meter:
    """Measure stages; between two of them the time counts as the next one's preparation.

    Attributes:
        stages: as the line of progress knows them.
        costs: by label.
        shown: (seconds since the start, seconds left as shown).
    """

    stages: Sequence[Stage]
    costs: dict[str, Cost] = field(default_factory=dict)
    shown: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.began = time.monotonic()
        self._left = TimeLeft(self.stages, self.began, prior=PRIOR)
        self._wall, self._cpu = self.began, processor_seconds()
        self._place = -1

    def take(self, label: str) -> None:
        """Count what has passed for a stage."""
        wall, cpu = time.monotonic(), processor_seconds()
        cost = self.costs.setdefault(label, Cost())
        cost.wall += wall - self._wall
        cost.cpu += cpu - self._cpu
        self._wall, self._cpu = wall, cpu

    @contextmanager
    def bar(self, label: str, unit: str) -> Iterator[Callable[[int, int], None]]:
        """Show a stage as the scan asks for it."""
        self.take(f"before {label}")
        place = next(n for n, stage in enumerate(self.stages) if label.startswith(stage.label))
        if place > self._place:
            self._place = place
            self._left.begin(place, time.monotonic())

        units = 0

        def update(done: int, total: int) -> None:
            nonlocal units
            units = total
            now = time.monotonic()
            self._left.update(done / total if total else 1.0, now, units=total)
            left = self._left.shown(now)
            if left is not None:
                self.shown.append((now - self.began, left))

        yield update
        self.take(label)
        self.costs[label].units += units


def processor_seconds() -> float:
    """Return the processor seconds of this process and of its ended children."""
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


class Memory:
    """Largest memory of this process and its descendants, read once in a second."""

    def __init__(self) -> None:
        self.most = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(1.0):
            self.most = max(self.most, sum(map(share, descendants(os.getpid()))))


def descendants(process: int) -> list[int]:
    """Return the numbers of a process and all that it started, directly or not."""
    found = [process]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                found += [int(word) for word in task.read_text().split()]
            except OSError:  # it ended
                continue
    return found


def share(process: int) -> int:
    """Return the bytes of a process, of shared pages its share; 0 for one that has ended."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def found_pairs(rows: Sequence[object], truth: Sequence[Path]) -> dict[str, str]:
    """Return file -> number of true pairs that the rows contain, of how many."""
    pairs = {frozenset((Path(row.original).name, Path(row.copy).name)) for row in rows}  # type: ignore[attr-defined]
    counts = {}
    for path in truth:
        with path.open(newline="") as file:
            lines = [list(row.values()) for row in csv.DictReader(file)]
        names = [(line[0], line[1]) for line in lines if line[0] and line[1]]
        hits = sum(frozenset((_named(a), _named(b))) in pairs for a, b in names)
        counts[str(path)] = f"{hits} of {len(names)}"
    return counts


def _named(name: str) -> str:
    return name if "." in name else f"{name}.jpg"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--compare", default="auto", choices=("auto", "promising", "all"))
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--effort", type=float, default=ScanConfig.effort)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--truth", type=Path, nargs="*", default=[], help="CSVs of true pairs")
    options = parser.parse_args()
    config = ScanConfig(
        photos=options.photos,
        output=options.output,
        compare=options.compare,
        model=options.model,
        effort=options.effort,
        workers=options.workers,
    )
    options.output.mkdir(parents=True, exist_ok=True)
    listed = list_both(config)
    meter = Meter(scan_stages(config, len(listed[0].sources)))
    with Memory() as memory:
        result = scan(config, bar=meter.bar, listed=listed)
        rows = rows_of(result)
        meter.take("families and rows")
    whole = time.monotonic() - meter.began
    write_table(rows, options.output / "copies.csv")
    write_json(options.output / "summary.json", summary(result, rows, command=" ".join(sys.argv)))
    print_costs(meter, whole)
    print(f"memory of all processes: {memory.most / 1e6:,.0f} MB at most")
    print(
        f"{result.files} files, {result.candidates} candidates, {result.compared} compared, "
        f"{result.hopeless} skipped, {len(rows)} rows"
    )
    for path, count in found_pairs(rows, options.truth).items():
        print(f"found of {path}: {count}")
    return 0


def print_costs(meter: Meter, whole: float) -> None:
    """Print the table of stages and the estimates beside the truth."""
    print("| stage | images or pairs | wall, s | processor, s |\n|---|---|---|---|")
    for label, cost in meter.costs.items():
        print(f"| {label} | {cost.units or ''} | {cost.wall:.1f} | {cost.cpu:.1f} |")
    cpu = sum(cost.cpu for cost in meter.costs.values())
    print(f"| all | | {whole:.1f} | {cpu:.1f} |")
    for point in POINTS:
        known = [(passed, left) for passed, left in meter.shown if passed <= point * whole]
        if known:
            passed, left = known[-1]
            print(f"at {point:.0%}: {left:.0f} s left shown, {whole - passed:.0f} s were left")


if __name__ == "__main__":
    raise SystemExit(main())
