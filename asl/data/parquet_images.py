"""Images in a column of bytes of Parquet tables, our own and those of the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asl.data.archives import shard_ids
from asl.storage import file_stamp, read_errors
from asl.types import I64, AslError, StrArray, as_ids

Name = Callable[[str], str]
IMAGE_COLUMNS = ("image", "bytes", "jpg", "jpeg", "png", "webp", "img")


@dataclass(frozen=True, eq=False)
class ParquetCatalog:
    """Images in Parquet tables of the same kind, one table after the other.

    Attributes:
        ids: ``[N]`` unique strings.
        paths: of the T tables.
        columns: ``[T]`` name of the column of bytes, or of a struct with a field ``bytes``.
        groups: int64 ``[G, 3]`` of each row group: its table, its number in the table, its first
            row among all.
    """

    ids: StrArray
    paths: tuple[str, ...]
    columns: tuple[str, ...]
    groups: I64

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", as_ids(self.ids, name="images"))

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, row: int) -> bytes:
        """Return the encoded bytes of an image; the row group read last is kept in memory.

        Raises:
            AslError: the row holds no bytes, or the table cannot be read.
        """
        group = int(np.searchsorted(self.groups[:, 2], row, side="right")) - 1
        table, number, first = self.groups[group].tolist()
        with read_errors(self.paths[table], "copy it again"):
            value = self._group(table, number)[row - first].as_py()
        if isinstance(value, dict):
            value = value.get("bytes")
        if not isinstance(value, bytes):
            raise AslError(
                f"{self.paths[table]}, row {self._own_row(row)}: column {self.columns[table]!r} "
                "holds no bytes"
            )
        return value

    def _group(self, table: int, number: int) -> Any:
        held: dict[tuple[int, int], Any] = self.__dict__.setdefault("_held", {})
        group = held.get((table, number))
        if group is None:
            import pyarrow.parquet as pq

            with open(self.paths[table], "rb") as file:  # Arrow cannot encode every path
                columns = [self.columns[table]]
                group = pq.ParquetFile(file).read_row_group(number, columns=columns)
            # Another thread may read another group meanwhile: each keeps its own at hand.
            held.clear()
            held[table, number] = group
        return group.column(0)

    def _own_row(self, row: int) -> int:
        """Return the number of a row in its own table."""
        table = self._table(row)
        return row - int(self.groups[self.groups[:, 0] == table][0, 2])

    def _table(self, row: int) -> int:
        return int(self.groups[np.searchsorted(self.groups[:, 2], row, side="right") - 1, 0])

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_held"}

    def file_of(self, row: int) -> str:
        """Return the path of the table that holds an image."""
        return self.paths[self._table(row)]

    def locate(self, row: int) -> str:
        """Return ``TABLE::ROW``."""
        return f"{self.paths[self._table(row)]}::{self._own_row(row)}"

    def stamp(self, row: int) -> str:
        """Return the row with size and modification time of its table."""
        return f"{self._own_row(row)} {file_stamp(self.paths[self._table(row)])}"


def open_parquet(paths: Sequence[Path], name: Name) -> ParquetCatalog:
    """List the images of Parquet tables.

    Ids come from the column ``id``, else from the field ``path`` of the images (as the Hugging Face
    hub writes them), else they are ``TABLE/ROW``. Where two tables share an id, all ids begin with
    the name of their table.

    Args:
        paths: of the tables.
        name: value of the column ``id`` or of the field ``path`` -> id.

    Raises:
        AslError: not a readable table, no column of images, or an id twice in one table.
    """
    # A quarter of a second to import, for tables alone.
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: list[str] = []
    ids: list[list[str]] = []
    groups: list[tuple[int, int, int]] = []
    rows = 0
    for number, path in enumerate(paths):
        try:
            with path.open("rb") as file:
                table = pq.ParquetFile(file)
                columns.append(_image_column(path, table))
                ids.append(_ids(path, table, columns[-1], name))
                for group in range(table.num_row_groups):
                    groups.append((number, group, rows))
                    rows += table.metadata.row_group(group).num_rows
        except (pa.ArrowException, OSError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise AslError(
                f"{path}: not a readable Parquet table ({reason}); copy it again"
            ) from error
    joined = shard_ids([path.stem for path in paths], ids)
    return ParquetCatalog(
        as_ids(joined, name=", ".join(map(str, paths[:3]))),
        tuple(map(str, paths)),
        tuple(columns),
        np.array(groups, dtype=np.int64).reshape(-1, 3),
    )


def _image_column(path: Path, table: Any) -> str:
    present = table.schema_arrow.names
    for column in IMAGE_COLUMNS:
        if column in present:
            return column
    raise AslError(
        f"{path}: no column of images: it has {', '.join(present) or 'no columns'}; name one "
        f"{', '.join(IMAGE_COLUMNS[:3])} or the like"
    )


def _ids(path: Path, table: Any, column: str, name: Name) -> list[str]:
    rows = table.metadata.num_rows
    if "id" in table.schema_arrow.names:
        values = table.read(columns=["id"]).column("id").to_pylist()
        if None in values:
            raise AslError(
                f"{path}, row {values.index(None)}: column 'id' is empty; give every image an id"
            )
    else:
        import pyarrow as pa

        kind = table.schema_arrow.field(column).type
        values = []
        if pa.types.is_struct(kind) and "path" in [field.name for field in kind]:
            structs = table.read(columns=[f"{column}.path"]).column(0).to_pylist()
            values = [struct and struct.get("path") for struct in structs]
        # Paths that are missing or the same for all (``image.jpg``) tell no image from another.
        if not all(values) or len(set(values)) < rows:
            return [f"{path.stem}/{row:06d}" for row in range(rows)]
    return [name(str(value)) for value in values]
