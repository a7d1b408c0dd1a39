"""Parquet tables with checksums of their columns, which are compared when they are read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from asl.storage import atomic_binary

_KEY = b"asl-sha256"  # in the metadata of the schema: name of a column -> checksum, as JSON


def write_parquet(table: Any, path: Path) -> None:
    """Write an Arrow table atomically.

    Raises:
        WriteError: the file cannot be written.
    """
    digests = {name: _digest(table.column(name)) for name in table.column_names}
    metadata = {**(table.schema.metadata or {}), _KEY: json.dumps(digests).encode()}
    marked = table.replace_schema_metadata(metadata)
    # Arrow cannot encode every path: it is given the open file.
    with atomic_binary(path) as file:
        pq.write_table(marked, file, write_page_checksum=True)


def read_parquet(path: Path, *, columns: Sequence[str] | None = None) -> Any:
    """Read an Arrow table, or some of its columns; tables of others have no checksums.

    Raises:
        ArrowException, OSError or ValueError: the file cannot be read, or a column is damaged.
    """
    wanted = None if columns is None else list(columns)
    with path.open("rb") as file:
        table = pq.read_table(file, columns=wanted, page_checksum_verification=True)
    if has_checksums(table):
        digests = json.loads(table.schema.metadata[_KEY])
        for name in table.column_names:
            if digests.get(name) != _digest(table.column(name)):
                raise ValueError(f"the checksum of column {name!r} differs")
    return table


def has_checksums(table: Any) -> bool:
    """Tell whether a table that was read came from :func:`write_parquet`."""
    return _KEY in (table.schema.metadata or {})


def _digest(column: Any) -> str:
    """Return the SHA-256 of the values of a column, whatever their encoding is."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
        column = column.cast(kind)
    digest = hashlib.sha256(f"{kind} {len(column)} {column.null_count}\n".encode())
    if column.null_count or not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
        values = ["null" if value is None else f"={value}" for value in column.to_pylist()]
        digest.update("\0".join(values).encode("utf-8", "surrogatepass"))
    else:
        digest.update(column.to_numpy().tobytes())
    return digest.hexdigest()
