"""Parquet tables whose pages have checksums, which are compared when they are read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from asl.storage import atomic_path

_MARK = {b"asl-checksums": b"pages"}  # readers cannot ask a page if it has one


def write_parquet(table: Any, path: Path) -> None:
    """Write an Arrow table atomically.

    Raises:
        WriteError: the file cannot be written.
    """
    marked = table.replace_schema_metadata({**(table.schema.metadata or {}), **_MARK})
    with atomic_path(path) as temporary:
        pq.write_table(marked, temporary, write_page_checksum=True)


def read_parquet(path: Path, *, columns: Sequence[str] | None = None) -> Any:
    """Read an Arrow table, or some of its columns.

    Raises:
        ArrowException or OSError: the file cannot be read, or a page is damaged.
    """
    wanted = None if columns is None else list(columns)
    return pq.read_table(path, columns=wanted, page_checksum_verification=True)


def has_checksums(table: Any) -> bool:
    """Tell whether a table that was read came from :func:`write_parquet`."""
    return bool(_MARK.items() <= (table.schema.metadata or {}).items())
