"""``python -m asl.leaks``: find images that leak between the splits of a data set.

The options and their explanation are in :mod:`asl.console.schemas.leaks_config`.
"""

from __future__ import annotations

import sqlite3
import sys
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asl.console.entry import EntryPoint, current_command
from asl.console.exit_codes import report
from asl.console.schemas.leaks_config import LeaksConfig
from asl.console.schemas.scan_config import ScanConfig
from asl.console.terminal_text import terminal_text
from asl.counts import counted
from asl.errors import AslError, UsageError
from asl.pipeline.key_checks import check_least, check_scan_keys, refuse_unused

if TYPE_CHECKING:
    from asl.app.leaks.find_leaks import Leaks

_FAILED = 3  # exit code: 1 says that leaks were found
_LISTED = 5  # failures that are printed


def run(options: LeaksConfig) -> int:
    """Search and write; return 0 without leaks, 1 with, 3 where it failed."""
    try:
        return _run(options)
    except UsageError:
        raise
    except (AslError, OSError, sqlite3.Error, BrokenProcessPool) as error:
        return report(error, _FAILED)


def _run(options: LeaksConfig) -> int:
    from asl.app.leaks.find_leaks import find_leaks
    from asl.app.leaks.leak_tables import leak_rows, leak_summary, write_drop_list, write_leaks
    from asl.app.leaks.left_out import left_out_of
    from asl.app.leaks.splits import read_splits
    from asl.app.scanning.earlier_results import remove_earlier
    from asl.app.scanning.scan_cache import note_on_other_caches
    from asl.console.progress import no_bar, progress_bar
    from asl.storage import make_folder, write_json

    _check(options)
    splits = read_splits(
        options.sets,
        column=options.split_column,
        chosen=options.splits,
        path_column=options.path_column,
    )
    make_folder(options.output, name="--output")
    scan_options = _scan_options(options)
    if note := note_on_other_caches(scan_options):
        print(terminal_text(note), file=sys.stderr)
    leaks = find_leaks(
        splits,
        scan_options,
        same_moment=options.same_moment,
        bar=no_bar if options.quiet else progress_bar,
    )
    # A CSV names the split of each row; of several sets each is a split.
    whole = len(options.sets) == 1 and options.sets[0].is_dir()
    numbers = leak_summary(
        leaks,
        drop=options.drop,
        command=current_command(),
        left_out=left_out_of(options.sets[0]) if whole else None,
    )
    table = options.output / f"leaks.{options.format}"
    notes = remove_earlier(table, options.output / "report.html")
    write_leaks(leak_rows(leaks), table)
    write_drop_list(leaks, options.drop, options.output / "drop.csv")
    _write_failures(leaks, options.output / "unreadable.csv")
    write_json(options.output / "summary.json", numbers)
    if options.report:
        _write_report(leaks, options, numbers)
    if not options.quiet:
        _say(leaks, options, numbers)
        for note in notes:
            print(f"  {terminal_text(note)}")
    return _exit_code(leaks, options)


def _check(options: LeaksConfig) -> None:
    """Refuse wrong values before anything is read or written."""
    from asl.storage import no_folder

    check_scan_keys(options)
    check_least(options, {"report": 0})
    if options.split_column is None:
        refuse_unused(options, ["path_column"], reason="without split_column")
    if options.output.is_file():
        raise UsageError(f"--output: {no_folder(options.output)}; choose another path")


def _scan_options(options: LeaksConfig) -> ScanConfig:
    return ScanConfig(
        photos=options.sets[:1],
        output=options.output,
        cache=options.cache,
        check_files=options.check_files,
        precision=options.precision,
        neighbours=options.neighbours,
        local_candidates=options.local_candidates,
        regions=options.regions,
        effort=options.effort,
        compare=options.compare,
        model=options.model,
        max_megapixels=options.max_megapixels,
        workers=options.workers,
        device=options.device,
    )


def _write_failures(leaks: Leaks, path: Path) -> None:
    from asl.app.scanning.tables import write_failures

    path.unlink(missing_ok=True)
    failures = _failures(leaks)
    if failures:
        write_failures(failures, path)


def _failures(leaks: Leaks) -> dict[str, str]:
    return {
        leaks.typed_path(name): reason
        for outcome in leaks.splits
        for name, reason in outcome.failures.items()
    }


def _write_report(leaks: Leaks, options: LeaksConfig, numbers: dict[str, Any]) -> None:
    from asl.app.leaks.leak_report import write_leak_report

    with closing(leaks.thumbnails()) as thumbnails:
        write_leak_report(
            leaks,
            options.output / "report.html",
            thumbnail=thumbnails,
            limit=options.report,
            numbers=numbers,
        )


def _say(leaks: Leaks, options: LeaksConfig, numbers: dict[str, Any]) -> None:
    from asl.app.leaks.left_out import left_out_text
    from asl.app.scanning.pair_prospects import hopeless_text
    from asl.data.catalog import skipped_text

    if parts := numbers["left_out"]:
        print(terminal_text(f"left out, in no split by name: {left_out_text(parts)}"))
    for name, split in numbers["splits"].items():
        skipped = list(split["formats_skipped"].items())
        repeated = split["repeated_rows"]
        print(
            terminal_text(
                f"{name}: {counted(split['images'], 'image')}, {split['processed']} compared, "
                f"{split['unreadable']} unreadable"
                + (f", {counted(repeated, 'repeated row')}" if repeated else "")
                + (f"; skipped: {skipped_text(skipped)}" if skipped else "")
            )
        )
    failures = sorted(_failures(leaks).items())
    for name, reason in failures[:_LISTED]:
        print(f"  unreadable: {terminal_text(f'{name}: {reason}')}")
    if len(failures) > _LISTED:
        print(f"  and {len(failures) - _LISTED} more, see {options.output / 'unreadable.csv'}")
    for row in numbers["comparisons"]:
        kinds = ", ".join(f"{count} {kind}" for kind, count in row["kinds"].items() if count)
        line = f"{row['train']}, {row['test']}: {counted(row['leaks'], 'leak')}"
        line += f" ({kinds})" if kinds else ""
        share = f"{row['test_affected']} of {counted(row['test_images'], 'image')} of {row['test']}"
        print(terminal_text(f"{line}; {share} affected ({100 * row['test_share']:.1f} %)"))
    if leaks.hopeless:
        print(f"  {hopeless_text(leaks.hopeless)}")
    if lost := leaks.uncompared:
        print(
            f"  {counted(lost, 'pair')} could not be compared; delete {leaks.store} and run it "
            "again"
        )
    print(f"  table    {options.output / f'leaks.{options.format}'}")
    print(f"  to drop  {options.output / 'drop.csv'} ({counted(numbers['to_drop'], 'file')})")
    if options.report:
        print(f"  report   {options.output / 'report.html'}")


def _exit_code(leaks: Leaks, options: LeaksConfig) -> int:
    """Return 3 where too much of a split is unreadable, else whether there are leaks."""
    for outcome in leaks.splits:
        images = len(outcome.split.listing.sources)
        if outcome.unreadable > options.max_failure_rate * images:
            print(
                terminal_text(
                    f"error: {outcome.unreadable} of {counted(images, 'image')} of "
                    f"{outcome.split.name} cannot be read, more than --max-failure-rate "
                    f"{options.max_failure_rate:g} allows; see {options.output / 'unreadable.csv'}"
                ),
                file=sys.stderr,
            )
            return _FAILED
    return 1 if leaks.leaks else 0


main = EntryPoint("leaks", run)

if __name__ == "__main__":
    main()
