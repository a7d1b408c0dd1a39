"""``python -m asl.scan``: find copies in a folder of photographs, or against a library.

The options and their explanation are in :mod:`asl.console.schemas.scan_config`.
"""

from __future__ import annotations

import shlex
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asl.console.entry import EntryPoint, current_command
from asl.console.schemas.scan_config import ScanConfig
from asl.console.terminal_text import byte_text, terminal_text
from asl.counts import counted
from asl.pipeline.key_checks import check_least, check_scan_keys

if TYPE_CHECKING:
    from asl.app.scanning.result import ScanResult

_COPIES_FOUND = 3  # exit code


def run(options: ScanConfig) -> int:
    """Scan and write; returns the exit code."""
    from asl.app.scanning.earlier_results import note_on_other_photos, remove_earlier
    from asl.app.scanning.scan_cache import note_on_other_caches
    from asl.app.scanning.scan_file import SCAN_FILE, write_scan
    from asl.app.scanning.tables import rows_of, summary, write_table
    from asl.storage import make_folder, write_json

    _check(options)
    # Before the work, which would be for nothing where there is no place for its result.
    if all(path.exists() for path in options.photos):
        make_folder(options.output, name="--output")
    for note in (note_on_other_caches(options), note_on_other_photos(options)):
        if note:
            print(terminal_text(note), file=sys.stderr)
    result = _scanned(options)
    rows = rows_of(result)
    numbers = summary(result, rows, command=current_command())
    table = options.output / f"copies.{options.format}"
    notes = remove_earlier(table, options.output / "gallery.html")
    write_table(rows, table)
    _write_failures(result, options.output / "unreadable.csv")
    write_json(options.output / "summary.json", numbers)
    write_scan(result, options.output / SCAN_FILE)
    if options.gallery:
        _write_gallery(result, options, numbers)
    if not options.quiet:
        _say(result, options, numbers, table)
        for note in notes:
            print(f"  {terminal_text(note)}")
    if numbers["unreadable"] > options.max_failure_rate * result.files:
        print(
            f"error: {numbers['unreadable']} of {counted(result.files, 'file')} cannot be "
            f"read, more than --max-failure-rate {options.max_failure_rate:g} allows; "
            f"see {options.output / 'unreadable.csv'}",
            file=sys.stderr,
        )
        return 1
    return _COPIES_FOUND if options.exit_code and numbers["pairs"] else 0


def _scanned(options: ScanConfig) -> ScanResult:
    """Scan with one line of progress, or without where it was asked to be quiet."""
    from asl.app.scanning.scan_files import list_both
    from asl.app.scanning.scan_folder import scan
    from asl.app.scanning.scan_stages import PRIOR, scan_stages
    from asl.console.progress import no_bar
    from asl.console.stage_progress import stage_progress
    from asl.matching.decision.thresholds import threshold_for

    if options.quiet:
        return scan(options, bar=no_bar)
    threshold_for(options.precision)  # a wrong one is refused before the files are listed
    photos, library = list_both(options)
    stages = scan_stages(
        options, len(photos.sources), len(library.sources) if library is not None else 0
    )
    with stage_progress(stages, done="scanned", prior=PRIOR) as bar:
        return scan(options, bar=bar, listed=(photos, library))


def _check(options: ScanConfig) -> None:
    """Refuse wrong values before anything is read or written."""
    check_least(options, {"gallery": 0, "min_size": 0})
    check_scan_keys(options)


def _write_failures(result: ScanResult, path: Path) -> None:
    from asl.app.scanning.tables import write_failures

    path.unlink(missing_ok=True)
    failures = result.synced.failures | result.unreadable_folders
    if failures:
        write_failures({result.typed_path(name): failures[name] for name in failures}, path)


def _write_gallery(result: ScanResult, options: ScanConfig, numbers: dict[str, Any]) -> None:
    from asl.app.scanning.scan_gallery import write_gallery

    facts = {
        name.replace("_", " "): value
        for name, value in numbers.items()
        if not isinstance(value, dict | list)
    }
    facts |= {f"seconds for {name}": value for name, value in result.seconds.items()}
    path = options.output / "gallery.html"
    with closing(result.thumbnails()) as thumbnails:
        write_gallery(result, path, thumbnail=thumbnails, limit=options.gallery, facts=facts)


def _say(result: ScanResult, options: ScanConfig, numbers: dict[str, Any], table: Path) -> None:
    from asl.matching.decision.thresholds import verifier_table

    compared = counted(numbers["compared"], "pair")
    print(
        f"{counted(numbers['files'], 'file')}: {numbers['embedded']} embedded, "
        f"{numbers['reused']} known, "
        f"{numbers['unreadable']} unreadable; {compared} compared, by this "
        f"scan or an earlier one; {sum(result.seconds.values()):.0f} s"
    )
    for line in _left_out_lines(result):
        print(f"  {line}")
    for name, reason in sorted(result.unreadable_folders.items())[:5]:
        line = terminal_text(f"{result.typed_path(name)}: {reason}")
        print(f"  unreadable folder, its files are not compared: {line}")
    for name, reason in sorted(result.synced.failures.items())[:5]:
        print(f"  unreadable: {terminal_text(f'{result.typed_path(name)}: {reason}')}")
    if numbers["unreadable"] > 5:
        print(f"  and {numbers['unreadable'] - 5} more, see {options.output / 'unreadable.csv'}")
    pairs, groups = numbers["pairs"], numbers["groups"]
    print(
        f"{counted(pairs, 'pair')} in {counted(groups, 'group')} (probability "
        f"{result.threshold:.3g} and more, for a precision of {result.precision:g})"
    )
    if bursts := numbers["bursts"]:
        print(f"{counted(bursts, 'burst')}: shots of one moment, no copies")
    if files := numbers["probable_copies"]:
        size = byte_text(numbers["copied_bytes"])
        print(f"{_copies_text(files, across=result.across)}: {size}")
    if (
        top := max((precision for precision, _ in verifier_table()), default=1.0)
    ) < result.precision:
        print(
            f"  note: precision was measured up to {top:g}; above it little more than identical "
            "files is left"
        )
    for line in _review_lines(result):
        print(f"  {line}")
    print(f"  table    {table}")
    if options.gallery:
        print(f"  gallery  {options.output / 'gallery.html'}")
    if pairs:
        print(f"  to act   asl review {shlex.quote(str(options.output))}")


def _left_out_lines(result: ScanResult) -> list[str]:
    """Say what was left out: pairs, links, files."""
    from asl.app.scanning.pair_prospects import hopeless_text
    from asl.data.catalog import skipped_text

    lines = [hopeless_text(result.hopeless)] if result.hopeless else []
    if result.recalled:
        pairs = counted(result.recalled, "pair")
        lines.append(f"{pairs} of little in common decided by an earlier scan")
    if result.links:
        lines.append(f"{counted(result.links, 'link')} to files already listed skipped")
    if result.left_out:
        lines.append(f"{counted(result.left_out, 'file')} left out by --exclude and --min-size")
    if result.raw_twins:
        lines.append(
            f"{counted(result.raw_twins, 'RAW file')} kept with the JPEG or HEIC of their shot"
        )
    if result.skipped:
        lines.append(f"skipped: {skipped_text(list(result.skipped.items()))}")
    return lines


def _copies_text(files: int, *, across: bool) -> str:
    """Say how many files are copies; whether one can go is for a review to say."""
    if across:
        return f"{counted(files, 'file has', 'files have')} a match in the library"
    return counted(files, "file is probably a copy", "files are probably copies")


def _review_lines(result: ScanResult) -> list[str]:
    """Say what earlier reviews changed."""
    from asl.app.scanning.tables import calibration_text

    lines = []
    if result.marked_out:
        marks = ", ".join(f"{count} {mark}" for mark, count in result.marked_out.items())
        lines.append(f"left out, marked in a review: {marks}")
    if result.calibration.answers:
        lines.append(f"probabilities: {calibration_text(result)}")
    return lines


main = EntryPoint("scan", run)

if __name__ == "__main__":
    main()
