"""Results of an earlier run in a folder that gets those of a later one: named, removed."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from asl.console.schemas.scan_config import ScanConfig
from asl.storage import read_json, remove_stale
from asl.types import AslError

SUMMARY_FILE = "summary.json"
FORMATS = ("csv", "parquet", "json")


def note_on_other_photos(options: ScanConfig) -> str:
    """Say that a folder holds the results of other photos, which this scan replaces.

    Returns:
        A sentence; empty where there is nothing to say.
    """
    try:
        earlier = read_json(options.output / SUMMARY_FILE, remedy="")
        folders = {str(folder) for folder in earlier["folders"]}
    except (AslError, KeyError, TypeError):  # none, or of an earlier version
        return ""
    asked = [Path(os.path.abspath(path)) for path in (*options.photos, *options.against)]
    # The root of an image or a list is its folder.
    missing = folders - {str(path if path.is_dir() else path.parent) for path in asked}
    if not missing:
        return ""
    return (
        f"note: {options.output} has the results of a scan of {min(missing)}, and this scan puts "
        "its own in their place (decisions and marks of reviews are kept); --output gives them a "
        "folder each"
    )


def remove_earlier(table: Path, page: Path) -> list[str]:
    """Remove what would be taken for results of this run: the page, and tables of other formats.

    Args:
        table: of this run; one of the same name is replaced when it is written.
        page: of this run, which may be written without one.

    Returns:
        One line for each file that stays: it was edited, or asl did not write it.
    """
    others = [path for kind in FORMATS if (path := table.with_suffix(f".{kind}")) != table]
    for path in others:
        if path.suffix == ".parquet":
            _remove_parquet(path)
        else:
            remove_stale(path)
    remove_stale(page)
    return [
        f"{path} is not of this run: it was edited, or asl did not write it, and stays"
        for path in (*others, page)
        if path.exists()
    ]


def _remove_parquet(path: Path) -> None:
    """Remove a table that has the checksums of asl, which its columns match."""
    if not path.is_file():
        return
    import pyarrow as pa

    from asl.data.checked_parquet import has_checksums, read_parquet

    with suppress(pa.ArrowException, OSError, ValueError):
        if has_checksums(read_parquet(path)):
            path.unlink()
