"""Catalogs of images that lie inside a larger file: tar archives and Parquet tables."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from asl.data.images import EXTENSIONS
from asl.storage import file_stamp
from asl.types import AslError, StrArray, as_ids

Name = Callable[[str], str]


@dataclass(frozen=True, eq=False)
class TarCatalog:
    """Images inside one or more uncompressed tar archives (WebDataset shards included), read in place.

    Attributes:
        ids: ``[N]`` unique strings.
        archives: ``[N]`` archive of each image.
        offsets: int64 ``[N]`` first byte of each image in its archive.
        sizes: int64 ``[N]`` bytes of each image.
    """

    ids: StrArray
    archives: tuple[str, ...]
    offsets: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", as_ids(self.ids, name="images"))

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, row: int) -> bytes:
        """The bytes of the member."""
        with Path(self.archives[row]).open("rb") as file:
            file.seek(int(self.offsets[row]))
            data = file.read(int(self.sizes[row]))
        if len(data) != self.sizes[row]:
            raise OSError(f"{self.archives[row]} ends inside {self.ids[row]}")
        return data

    def locate(self, row: int) -> str:
        """Archive and member."""
        return f"{self.archives[row]}::{self.ids[row]}"

    def stamp(self, row: int) -> str:
        """Place of the member, size and time of change of the archive; ``OSError`` where that is not there."""
        return f"{self.offsets[row]}+{self.sizes[row]} {file_stamp(self.archives[row])}"


@dataclass(frozen=True, eq=False)
class ParquetCatalog:
    """Images in a column of bytes of a Parquet table.

    Attributes:
        ids: ``[N]`` unique strings.
        path: of the table.
        column: that holds the bytes (of a struct column, its field ``bytes``).
        groups: int64 ``[G + 1]`` first row of each row group.
    """

    ids: StrArray
    path: str
    column: str
    groups: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", as_ids(self.ids, name="images"))

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, row: int) -> bytes:
        """The bytes in a row; neighbouring rows come from one read of their row group."""
        group = int(np.searchsorted(self.groups, row, side="right")) - 1
        value = self._group(group)[row - int(self.groups[group])].as_py()
        if isinstance(value, dict):
            value = value.get("bytes")
        if not isinstance(value, bytes):
            raise AslError(f"{self.path}, row {row}: column {self.column!r} holds no bytes")
        return value

    def _group(self, group: int) -> Any:
        import pyarrow.parquet as pq

        held: dict[int, Any] = self.__dict__.setdefault("_held", {})
        if group not in held:
            held.clear()
            held[group] = (
                pq.ParquetFile(self.path).read_row_group(group, columns=[self.column]).column(0)
            )
        return held[group]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_held"}

    def locate(self, row: int) -> str:
        """Table and row."""
        return f"{self.path}::{row}"

    def stamp(self, row: int) -> str:
        """Row, size and time of change of the table; ``OSError`` where that is not there."""
        return f"{row} {file_stamp(self.path)}"


def open_tar(paths: Sequence[Path], name: Name) -> TarCatalog:
    """List the images of uncompressed tar archives, one after the other; ``name`` makes an id of a member's path."""
    names, archives, places = [], [], []
    for path in paths:
        try:
            with tarfile.open(path, mode="r:") as archive:
                for member in archive:
                    if member.isfile() and Path(member.name).suffix.lower() in EXTENSIONS:
                        names.append(name(member.name))
                        archives.append(str(path))
                        places.append((member.offset_data, member.size))
        except (tarfile.TarError, OSError) as error:
            raise AslError(f"{path}: is not an uncompressed tar archive ({error})") from error
    offsets, sizes = np.array(places, dtype=np.int64).reshape(-1, 2).T
    return TarCatalog(
        as_ids(names, name=", ".join(map(str, paths[:3]))), tuple(archives), offsets, sizes
    )


def open_parquet(path: Path, name: Name) -> ParquetCatalog:
    """List the images of a Parquet table; ``name`` makes an id of what its column ``id`` holds."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(path)
        columns = [
            column
            for column in ("image", "bytes", "jpg", "jpeg", "png")
            if column in table.schema_arrow.names
        ]
        if not columns or "id" not in table.schema_arrow.names:
            raise AslError(
                f"{path}: needs a column `id` and one of bytes (`image`, `bytes`, `jpg`)"
            )
        ids = [name(str(value)) for value in table.read(columns=["id"]).column("id").to_pylist()]
    except (pa.ArrowException, OSError) as error:
        raise AslError(f"{path}: is not a readable Parquet table ({error})") from error
    sizes = [table.metadata.row_group(group).num_rows for group in range(table.num_row_groups)]
    return ParquetCatalog(
        as_ids(ids, name=str(path)), str(path), columns[0], np.cumsum([0, *sizes])[:-1]
    )
