"""Check whether a data set is complete: counts, names, unreadable files, sources of the rest.

  asl data check ndec /data/NDEC
  asl data check disc21_dev2 /data/DISC21 --decode 1000
  asl data check folder BENCH --decode all

Nothing is downloaded. Exit code 0: complete as far as checked; 1: something is missing or broken;
2: wrong use.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from asl.console.terminal_text import terminal_text
from asl.data.catalog import Catalog
from asl.data.image_error import reason_of
from asl.data.images import ImageError, decode_image
from asl.data.layouts import Benchmark, open_benchmark
from asl.types import AslError, UsageError

# Layout -> role -> number of images of the published set (sources: data/README.md).
PUBLISHED = {
    "ndec": {"queries": 49_252, "references": 1_000_000, "hard_pairs": 100_000},
    "disc21_dev1": {"queries": 25_000, "references": 1_000_000, "train": 1_000_000},
    "disc21_dev2": {"queries": 25_000, "references": 1_000_000, "train": 1_000_000},
    "disc21_final": {"queries": 50_000, "references": 1_000_000, "train": 1_000_000},
    "copydays": {"queries": 3_055, "references": 157},
}
SOURCES = {
    "ndec": "data set WenhaoWang/ASL on the Hugging Face hub (CC BY-NC 4.0; pairs 121 GB, queries "
    "14 GB); ground truth linked from the README of the ASL authors' repository; references: "
    "DISC21",
    "disc21": "the Image Similarity Challenge page of Meta AI (research use; 1 M training images, "
    "1 M references)",
    "copydays": "INRIA's Holidays and Copydays page",
    "folder": "your own: references/, queries/, truth.csv; scripts/make_benchmark.py makes such "
    "folders",
}


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        good: False where something is missing or broken.
        text: for people.
    """

    good: bool
    text: str


def check_benchmark(
    benchmark: Benchmark, layout: str, *, decode: int | None = 200
) -> list[Finding]:
    """Compare an opened benchmark with its published counts and decode some of its images.

    Args:
        benchmark: opened; that refuses missing folders and ids without images.
        layout: its layout, for the published counts.
        decode: number of images of each role to decode, evenly spread; None for all.
    """
    findings = []
    roles: dict[str, Catalog | None] = {
        "queries": benchmark.queries,
        "references": benchmark.references,
        "train": benchmark.train,
    }
    counts = {role: len(catalog) for role, catalog in roles.items() if catalog is not None}
    counts["hard_pairs"] = len(benchmark.hard_pairs)
    for role, count in counts.items():
        expected = PUBLISHED.get(layout, {}).get(role)
        suffix = "" if expected is None else f" of {expected} published"
        findings.append(Finding(expected is None or count == expected, f"{role}: {count}{suffix}"))
    findings.append(Finding(len(benchmark.truth) > 0, f"true pairs: {len(benchmark.truth)}"))
    findings.append(_overlap(benchmark))
    for role, catalog in roles.items():
        if catalog is not None:
            findings.append(_decodes(role, catalog, decode))
    return findings


def _overlap(benchmark: Benchmark) -> Finding:
    if benchmark.train is None:
        return Finding(True, "training images: none, so none is also a reference")
    both = np.intersect1d(benchmark.train.ids, benchmark.references.ids)
    example = f", e.g. {both[0]}" if len(both) else ""
    return Finding(
        not len(both), f"ids that are training images and references: {len(both)}{example}"
    )


def _decodes(role: str, catalog: Catalog, limit: int | None) -> Finding:
    count = len(catalog) if limit is None else min(limit, len(catalog))
    broken = []
    for row in np.linspace(0, len(catalog) - 1, count).astype(int).tolist():
        try:
            decode_image(catalog.read(row))
        except (ImageError, OSError) as error:
            broken.append(f"{catalog.locate(row)} ({reason_of(error)})")
    example = f", e.g. {broken[0]}" if broken else ""
    return Finding(not broken, f"{role}: {count - len(broken)} of {count} decoded{example}")


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, as those of the verbs."""

    def error(self, message: str) -> NoReturn:
        example = "asl data check folder BENCH"
        self.exit(2, f"error: {self.prog}: {message}, e.g. `{example}`; --help explains\n")


def parser() -> argparse.ArgumentParser:
    """Return the argument parser of ``asl data``."""
    made = _Parser(
        prog="asl data", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("verb", choices=["check"])
    made.add_argument("layout", choices=[*PUBLISHED, "disc21", "folder"])
    made.add_argument("path", type=Path)
    made.add_argument(
        "--decode", default="200", metavar="N|all", help="images of each role to decode"
    )
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``asl data check LAYOUT PATH`` and return its exit code."""
    options = parser().parse_args(arguments)
    source = SOURCES[next(name for name in SOURCES if options.layout.startswith(name))]
    try:
        benchmark = open_benchmark(options.path, layout=options.layout)
        decode = None if options.decode == "all" else int(options.decode)
        # The published counts are those of a part of DISC21.
        layout = benchmark.name if options.layout == "disc21" else options.layout
        findings = check_benchmark(benchmark, layout, decode=decode)
    except ValueError:
        parser().error(f"--decode: expected a number or all, got {options.decode!r}")
    except UsageError as error:
        print(f"error: {terminal_text(error)}", file=sys.stderr)
        return 2
    except AslError as error:
        print(f"error: {terminal_text(error)}\nfrom: {source}", file=sys.stderr)
        return 1
    for finding in findings:
        print(("ok      " if finding.good else "MISSING ") + terminal_text(finding.text))
    if all(finding.good for finding in findings):
        return 0
    print(f"from: {source}")
    return 1
