"""Remove pages and tables of an earlier run from a folder that gets those of a later one."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from asl.storage import remove_stale

FORMATS = ("csv", "parquet", "json")


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
