"""Lists of images, wherever they lie: a folder, a list, a tar archive, a Parquet table.

A catalog knows the id of every image and how to get its encoded bytes; decoding is somebody else's work. Catalogs are
small and picklable, so that worker processes can read for themselves.
"""

from __future__ import annotations

import csv
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from asl.data.images import EXTENSIONS, Pixels, decode_image
from asl.types import AslError, StrArray, as_ids

IdStyle = Literal["path", "stem"]


@runtime_checkable
class Catalog(Protocol):
    """N images in a fixed order.

    Attributes:
        ids: ``[N]`` unique strings.
    """

    @property
    def ids(self) -> StrArray:
        """``[N]`` unique ids."""
        ...

    def __len__(self) -> int: ...

    def read(self, row: int) -> bytes:
        """The encoded bytes of an image; ``OSError`` or ``AslError`` where they cannot be read."""
        ...

    def locate(self, row: int) -> str:
        """Where an image lies, for people."""
        ...


@dataclass(frozen=True, eq=False)
class FileCatalog:
    """Image files on disk.

    Attributes:
        ids: ``[N]`` unique strings.
        paths: one path per id.
    """

    ids: StrArray
    paths: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", as_ids(self.ids, name="images"))
        if len(self.paths) != len(self.ids):
            raise AslError(f"images: {len(self.ids)} ids for {len(self.paths)} paths")

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, row: int) -> bytes:
        """The bytes of the file."""
        return Path(self.paths[row]).read_bytes()

    def locate(self, row: int) -> str:
        """The path of the file."""
        return self.paths[row]


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
            held[group] = pq.ParquetFile(self.path).read_row_group(group, columns=[self.column]).column(0)
        return held[group]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_held"}

    def locate(self, row: int) -> str:
        """Table and row."""
        return f"{self.path}::{row}"


@dataclass(frozen=True, eq=False)
class Subset:
    """Some rows of another catalog, in a given order."""

    base: Catalog
    rows: npt.NDArray[np.int64]

    @cached_property
    def ids(self) -> StrArray:
        """``[N]`` unique ids."""
        return as_ids(self.base.ids[self.rows], name="images")

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, row: int) -> bytes:
        """The bytes of an image."""
        return self.base.read(int(self.rows[row]))

    def locate(self, row: int) -> str:
        """Where an image lies."""
        return self.base.locate(int(self.rows[row]))


def subset(catalog: Catalog, rows: npt.ArrayLike) -> Catalog:
    """Some rows of a catalog, in the order given."""
    return Subset(catalog, np.asarray(rows, dtype=np.int64))


@dataclass(frozen=True, eq=False)
class CatalogLoader:
    """Id -> pixels; picklable, so that other processes can load for themselves."""

    catalog: Catalog
    rows: Mapping[str, int]

    @classmethod
    def of(cls, catalog: Catalog) -> CatalogLoader:
        """A loader of all images of a catalog."""
        return cls(catalog, {name: row for row, name in enumerate(catalog.ids.tolist())})

    def __call__(self, name: str) -> Pixels:
        """Decode one image."""
        if name not in self.rows:
            raise AslError(f"{name}: has no image in the catalog")
        return decode_image(self.catalog.read(self.rows[name]))


def open_catalog(source: str | Path, *, id_style: IdStyle = "path") -> Catalog:
    """Open images by what their source is.

    Args:
        source: a folder (searched through all levels, sorted by path), an image file, a ``.txt`` of paths, a ``.csv``
            with a column ``path`` (and, where there is one, ``id``), a ``.tar``, or a ``.parquet`` with a column of
            bytes (``image``, ``bytes`` or ``jpg``) and a column ``id``. Relative paths in a list are taken from the
            list's own folder.
        id_style: ``path`` keeps ``sub/name.jpg``; ``stem`` is ``name`` alone, as DISC21 does.

    Raises:
        AslError: nothing is there, no image is in it, or two images get the same id.
    """
    path = Path(source)
    if path.is_dir():
        names = sorted(_image_files(path))
        catalog: Catalog = _files([path / name for name in names], names, id_style)
    elif not path.exists():
        raise AslError(f"{path}: there is no such file or folder")
    elif path.suffix.lower() in EXTENSIONS:
        catalog = _files([path], [path.name], id_style)
    else:
        opener: dict[str, Callable[[Path, IdStyle], Catalog]] = {
            ".txt": _open_list,
            ".csv": _open_list,
            ".tar": _open_tar,
            ".parquet": _open_parquet,
        }
        if path.suffix.lower() not in opener:
            raise AslError(f"{path}: expected a folder, an image, or a .txt, .csv, .tar or .parquet of images")
        catalog = opener[path.suffix.lower()](path, id_style)
    if not len(catalog):
        raise AslError(f"{path}: no image in it (looked for {', '.join(sorted(EXTENSIONS))})")
    return catalog


def _image_files(folder: Path) -> list[str]:
    names = []
    for parent, folders, files in folder.walk() if hasattr(folder, "walk") else _walk(folder):
        # Hidden folders hold thumbnails, caches and version control, not photographs.
        folders[:] = [name for name in folders if not name.startswith(".")]
        inside = parent.relative_to(folder)
        names += [
            (inside / name).as_posix()
            for name in files
            if not name.startswith(".") and Path(name).suffix.lower() in EXTENSIONS
        ]
    return names


def _walk(folder: Path) -> Any:
    import os

    return ((Path(parent), folders, files) for parent, folders, files in os.walk(folder))


def _files(paths: Sequence[Path], names: Sequence[str], id_style: IdStyle) -> FileCatalog:
    ids = [_id(name, id_style) for name in names]
    return FileCatalog(as_ids(ids, name="images"), tuple(str(path) for path in paths))


def _id(name: str, id_style: IdStyle) -> str:
    return name if id_style == "path" else Path(name).stem


def _open_list(path: Path, id_style: IdStyle) -> FileCatalog:
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix.lower() == ".txt":
        names = [line.strip() for line in text.splitlines() if line.strip()]
        return _files([path.parent / name for name in names], names, id_style)
    rows = list(csv.DictReader(text.splitlines()))
    if not rows or "path" not in rows[0]:
        raise AslError(f"{path}: expected a header with a column `path` (and perhaps `id`)")
    names = [row["path"] for row in rows]
    ids = [row.get("id") or _id(row["path"], id_style) for row in rows]
    return FileCatalog(as_ids(ids, name=str(path)), tuple(str(path.parent / name) for name in names))


def _open_tar(path: Path, id_style: IdStyle) -> TarCatalog:
    try:
        with tarfile.open(path, mode="r:") as archive:
            members = [
                member for member in archive if member.isfile() and Path(member.name).suffix.lower() in EXTENSIONS
            ]
    except (tarfile.TarError, OSError) as error:
        raise AslError(f"{path}: is not an uncompressed tar archive ({error})") from error
    return TarCatalog(
        as_ids([_id(member.name, id_style) for member in members], name=str(path)),
        (str(path),) * len(members),
        np.array([member.offset_data for member in members], dtype=np.int64),
        np.array([member.size for member in members], dtype=np.int64),
    )


def _open_parquet(path: Path, id_style: IdStyle) -> ParquetCatalog:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(path)
        columns = [name for name in ("image", "bytes", "jpg", "jpeg", "png") if name in table.schema_arrow.names]
        if not columns or "id" not in table.schema_arrow.names:
            raise AslError(f"{path}: needs a column `id` and one of bytes (`image`, `bytes`, `jpg`)")
        ids = [_id(str(value), id_style) for value in table.read(columns=["id"]).column("id").to_pylist()]
    except (pa.ArrowException, OSError) as error:
        raise AslError(f"{path}: is not a readable Parquet table ({error})") from error
    sizes = [table.metadata.row_group(group).num_rows for group in range(table.num_row_groups)]
    return ParquetCatalog(as_ids(ids, name=str(path)), str(path), columns[0], np.cumsum([0, *sizes])[:-1])
