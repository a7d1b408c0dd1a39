"""Find copies in a folder of photographs, or against a library. No labels, no configuration.

  asl scan PHOTOS                                      copies within a folder
  asl scan NEW --against LIBRARY                       which of the new images come from the
  library? asl scan PHOTOS --output found --format parquet      found/copies.parquet,
  found/gallery.html asl scan PHOTOS --precision 0.99                     fewer, surer pairs
  asl scan PHOTOS --details 0                          quicker, misses small crops and pasted
  pictures asl scan PHOTOS --exit-code                          for scripts: exit code 3 where
  copies were found

PHOTOS and LIBRARY are folders (searched through all levels), an image, or a .txt/.csv list of
paths. OUTPUT gets copies.csv (one row a pair: group, original, copy, probability, direction, why,
edits), gallery.html (open it in a browser; move the slider), summary.json, unreadable.csv where
files could not be read, and the
cache: the next scan reads only files that are new or changed, also after they were moved.

Exit code: 0 done, 3 done and copies were found (with --exit-code), 1 it failed or too many files
are unreadable, 2 wrong use, 130 stopped from the keyboard.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sqlite3
import sys
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asl.app.scanning.tables import FORMATS, rows_of, summary, write_failures, write_table
from asl.console.options import Parser
from asl.matching.decision.thresholds import DEFAULT_PRECISION, verifier_table
from asl.storage import write_json
from asl.types import REGION_SETS, AslError, UsageError

if TYPE_CHECKING:
    from asl.app.scanning.result import ScanResult

_FOUND = 3


def parser() -> argparse.ArgumentParser:
    """The arguments of ``asl scan``."""
    text = (__doc__ or "").split("\n\n")
    made = Parser(
        prog="asl scan",
        description="\n\n".join(text[:2]),
        epilog="\n\n".join(text[2:]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add("photos", metavar="PHOTOS", type=Path, help="folder, image, or list of paths")
    add(
        "--against",
        metavar="LIBRARY",
        type=Path,
        help="look for originals (and copies) there, not within PHOTOS",
    )
    add(
        "--output",
        metavar="DIR",
        type=Path,
        default=Path("asl-scan"),
        help="folder of the results (%(default)s)",
    )
    add(
        "--cache",
        metavar="FILE",
        type=Path,
        help="what is remembered between scans (OUTPUT/cache.sqlite); with the model in its name",
    )
    add(
        "--precision",
        type=float,
        default=DEFAULT_PRECISION,
        help="share of pairs that shall be right (%(default)s)",
    )
    add("--format", choices=FORMATS, default="csv", help="of the table (%(default)s)")
    add(
        "--gallery",
        metavar="N",
        type=int,
        default=2000,
        help="most pairs in the page; 0: no page (%(default)s)",
    )
    add(
        "--details",
        metavar="K",
        type=int,
        default=3,
        help="candidates of each photo by its details (%(default)s)",
    )
    add(
        "--neighbours",
        metavar="K",
        type=int,
        default=10,
        help="candidates by the whole picture (%(default)s)",
    )
    add(
        "--regions",
        choices=REGION_SETS,
        default="none",
        help="parts that are embedded, too; slow (%(default)s)",
    )
    add(
        "--effort",
        metavar="X",
        type=float,
        default=2.0,
        help="pairs compared per photo, on average, 10,000 at least (%(default)s)",
    )
    add(
        "--max-failure-rate",
        metavar="X",
        type=float,
        default=0.1,
        help="unreadable files tolerated (%(default)s)",
    )
    add(
        "--max-megapixels",
        metavar="X",
        type=float,
        default=100,
        help="of a photo, JPEGs four times that (%(default)s)",
    )
    add("--model", default="asl_lite0", help="asl_lite0 or a trained model (%(default)s)")
    add("--device", default="auto", help="auto, cpu, cuda (%(default)s)")
    add("--workers", metavar="N", type=int, help="processes that compare (one per core)")
    add("--exit-code", action="store_true", help="exit with 3 where copies were found")
    add("--quiet", action="store_true", help="print nothing but errors")
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """Scan, write, say what was found."""
    options = parser().parse_args(arguments)
    words = sys.argv[1:] if arguments is None else arguments
    command = shlex.join(["asl", "scan", *words])
    try:
        code = run(options, command=command)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        code = 2
    except (AslError, OSError, sqlite3.Error, BrokenProcessPool) as error:
        print(f"error: {error}", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        print(
            "stopped; what was done is remembered, the same command goes on from here",
            file=sys.stderr,
        )
        code = 130
    sys.exit(code)


def run(options: argparse.Namespace, *, command: str = "asl scan") -> int:
    """Scan and write; returns the exit code."""
    from asl.app.scanning.result import ScanOptions
    from asl.app.scanning.scan_folder import scan
    from asl.console.entry import keep_memory

    keep_memory()
    if options.gallery < 0 or not 0 <= options.max_failure_rate <= 1:
        raise UsageError("--gallery must be 0 or more and --max-failure-rate in 0..1")
    if not 0 < options.max_megapixels < 1e6:
        raise UsageError(f"--max-megapixels must be above 0, got {options.max_megapixels:g}")
    cores = options.workers if options.workers is not None else os.cpu_count() or 1
    plan = ScanOptions(
        photos=options.photos,
        against=options.against,
        cache=options.cache or options.output / "cache.sqlite",
        model=options.model,
        precision=options.precision,
        regions=options.regions,
        local_candidates=options.details,
        neighbours=options.neighbours,
        effort=options.effort,
        workers=cores,
        device=options.device,
        max_pixels=round(1e6 * options.max_megapixels),
    )
    # Before the work, which would be for nothing where there is no place for its result.
    if options.output.exists() and not options.output.is_dir():
        raise UsageError(f"--output: {options.output} is a file, not a folder")
    if options.photos.exists():
        options.output.mkdir(parents=True, exist_ok=True)
    result = scan(plan, bar=_quiet if options.quiet else _bar)
    rows = rows_of(result)
    numbers = summary(result, rows, command=command)
    table = options.output / f"copies.{options.format}"
    write_table(rows, table)
    _write_failures(result, options.output / "unreadable.csv")
    write_json(options.output / "summary.json", numbers)
    if options.gallery:
        _write_gallery(result, options, numbers)
    if not options.quiet:
        _say(result, options, numbers, table)
    if numbers["unreadable"] > options.max_failure_rate * result.files:
        print(
            f"error: {numbers['unreadable']} of {result.files} files are unreadable, more than --max-failure-rate "
            f"{options.max_failure_rate:g} allows; see {options.output / 'unreadable.csv'}",
            file=sys.stderr,
        )
        return 1
    return _FOUND if options.exit_code and rows else 0


def _bar(label: str, unit: str) -> AbstractContextManager[Any]:
    from asl.console.progress import progress_bar

    return progress_bar(label, unit=unit)


def _quiet(label: str, unit: str) -> AbstractContextManager[Any]:
    return nullcontext(lambda done, total: None)


def _write_failures(result: ScanResult, path: Path) -> None:
    path.unlink(missing_ok=True)
    if result.synced.failures:
        failures = result.synced.failures
        write_failures({result.typed_path(name): failures[name] for name in failures}, path)


def _write_gallery(
    result: ScanResult, options: argparse.Namespace, numbers: dict[str, Any]
) -> None:
    from asl.app.scanning.scan_gallery import write_gallery

    facts = {
        name.replace("_", " "): value
        for name, value in numbers.items()
        if not isinstance(value, dict)
    }
    facts |= {f"seconds for {name}": value for name, value in result.seconds.items()}
    path = options.output / "gallery.html"
    with closing(result.thumbnails()) as thumbnails:
        write_gallery(result, path, thumbnail=thumbnails, limit=options.gallery, facts=facts)


def _say(
    result: ScanResult, options: argparse.Namespace, numbers: dict[str, Any], table: Path
) -> None:
    from asl.data.catalog import skipped_text

    print(
        f"{numbers['files']} files: {numbers['embedded']} embedded, {numbers['reused']} known, "
        f"{numbers['unreadable']} unreadable; {numbers['compared']} pairs compared, by this "
        f"scan or an earlier one; {sum(result.seconds.values()):.0f} s"
    )
    if result.links:
        print(f"  {result.links} links to files already listed skipped")
    if result.skipped:
        print(f"  skipped: {skipped_text(list(result.skipped.items()))}")
    for name, reason in sorted(result.synced.failures.items())[:5]:
        print(f"  unreadable: {name}: {reason}")
    if numbers["unreadable"] > 5:
        print(f"  and {numbers['unreadable'] - 5} more, see {options.output / 'unreadable.csv'}")
    print(
        f"{numbers['pairs']} pairs in {numbers['groups']} groups (probability {result.threshold:.3g} and more, "
        f"for a precision of {result.precision:g})"
    )
    if (
        top := max((precision for precision, _ in verifier_table()), default=1.0)
    ) < result.precision:
        print(
            f"  note: precision was measured up to {top:g}; above it little more than identical files is left"
        )
    print(f"  table    {table}")
    if options.gallery:
        print(f"  gallery  {options.output / 'gallery.html'}")


if __name__ == "__main__":
    main()
