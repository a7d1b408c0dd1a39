"""Lists of images, wherever they lie: a folder, a list, a tar archive, a Parquet table.

A catalog knows the id of every image and how to get its encoded bytes; decoding is somebody else's
work. Catalogs are small and picklable, so that worker processes can read for themselves. Those of
files also have ``stamp(row)``, which tells without reading whether an image may have changed,
wherever its folder was moved.
"""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from asl.data.archives import open_parquet, open_tar
from asl.data.images import EXTENSIONS, UNREAD, Pixels, decode_image, read_file
from asl.storage import file_stamp, printable_name
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
        skipped: (ending, how many files) of pictures in formats that cannot be read, the most
            frequent first.
    """

    ids: StrArray
    paths: tuple[str, ...]
    skipped: tuple[tuple[str, int], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", as_ids(self.ids, name="images"))
        if len(self.paths) != len(self.ids):
            raise AslError(f"images: {len(self.ids)} ids for {len(self.paths)} paths")

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, row: int) -> bytes:
        """The bytes of the file."""
        return read_file(Path(self.paths[row]))

    def locate(self, row: int) -> str:
        """The path of the file."""
        return printable_name(self.paths[row])

    def stamp(self, row: int) -> str:
        """Size and time of change of the file; ``OSError`` where it is not there."""
        return file_stamp(self.paths[row])


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

    def stamp(self, row: int) -> str:
        """What its catalog says of its size and time of change; "" where that says nothing."""
        tell = getattr(self.base, "stamp", None)
        return str(tell(int(self.rows[row]))) if tell else ""


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
        source: a folder (searched through all levels, sorted by path; or one of ``.tar`` shards),
            an image file, a ``.txt`` of paths, a ``.csv`` with a column ``path`` (and, where there
            is one, ``id``), a ``.tar``, or a ``.parquet`` with a column of bytes (``image``,
            ``bytes`` or ``jpg``) and a column ``id``. Relative paths in a list are taken from the
            list's own folder.
        id_style: ``path`` keeps ``sub/name.jpg``; ``stem`` is ``name`` alone, as DISC21 does.

    Raises:
        AslError: nothing is there, no image is in it, or two images get the same id.
    """
    path = Path(source)
    skipped: tuple[tuple[str, int], ...] = ()
    if path.is_dir():
        names, unread = _image_files(path)
        skipped = tuple(unread.most_common())
        catalog: Catalog = replace(
            _files([path / name for name in names], names, id_style), skipped=skipped
        )
        if not names and (shards := sorted(path.glob("*.tar"))):
            catalog = open_tar(shards, lambda name: _id(name, id_style))
    elif not path.exists():
        raise AslError(f"{path}: there is no such file or folder")
    elif path.suffix.lower() in EXTENSIONS:
        catalog = _files([path], [path.name], id_style)
    else:
        opener: dict[str, Callable[[Path, IdStyle], Catalog]] = {
            ".txt": _open_list,
            ".csv": _open_list,
            ".tar": lambda file, style: open_tar([file], lambda name: _id(name, style)),
            ".parquet": lambda file, style: open_parquet(file, lambda name: _id(name, style)),
        }
        if path.suffix.lower() not in opener:
            raise AslError(
                f"{path}: expected a folder, an image, or a .txt, .csv, .tar or .parquet of images"
            )
        catalog = opener[path.suffix.lower()](path, id_style)
    if not len(catalog):
        there = f"has {skipped_text(skipped)}, but " if skipped else ""
        raise AslError(
            f"{path}: {there}no image in it (looked for {', '.join(sorted(EXTENSIONS))})"
        )
    return catalog


def skipped_text(skipped: Sequence[tuple[str, int]]) -> str:
    """Pictures that are passed over, for people: ``5 .heic, 3 .cr2 (formats this cannot read)``."""
    return (
        f"{', '.join(f'{count} {ending}' for ending, count in skipped)} (formats this cannot read)"
    )


def _image_files(folder: Path) -> tuple[list[str], Counter[str]]:
    """Paths inside a folder, sorted, and how many pictures of each other format there are."""
    names, unread = [], Counter[str]()
    for parent, folders, files in _walk(folder):
        # Hidden folders hold thumbnails, caches and version control, not photographs.
        folders[:] = [name for name in folders if not name.startswith(".")]
        inside = parent.relative_to(folder)
        for name in files:
            ending = Path(name).suffix.lower()
            if ending in EXTENSIONS and not name.startswith("."):
                names.append((inside / name).as_posix())
            elif ending in UNREAD and not name.startswith("."):
                unread[ending] += 1
    return sorted(names), unread


def _walk(folder: Path) -> Any:
    def refuse(error: OSError) -> None:
        raise AslError(
            f"{error.filename}: cannot be read ({error.strerror}); what is in it would be missing silently"
        )

    return (
        (Path(parent), folders, files) for parent, folders, files in os.walk(folder, onerror=refuse)
    )


def _files(paths: Sequence[Path], names: Sequence[str], id_style: IdStyle) -> FileCatalog:
    ids = [_id(name, id_style) for name in names]
    return FileCatalog(as_ids(ids, name="images"), tuple(str(path) for path in paths))


def _id(name: str, id_style: IdStyle) -> str:
    return printable_name(name if id_style == "path" else Path(name).stem)


def _open_list(path: Path, id_style: IdStyle) -> FileCatalog:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise AslError(f"{path}: cannot be read as a list in UTF-8 ({error})") from error
    if "\0" in text:
        raise AslError(f"{path}: has a NUL character in it; this is no list of files")
    if path.suffix.lower() == ".txt":
        names = [line.strip() for line in text.splitlines() if line.strip()]
        return _files([path.parent / name for name in names], names, id_style)
    try:
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise AslError(f"{path}: cannot be read as CSV ({error})") from error
    if not rows or "path" not in rows[0]:
        raise AslError(f"{path}: expected a header with a column `path` (and perhaps `id`)")
    names = [row["path"] or "" for row in rows]
    if "" in names:
        raise AslError(f"{path}: row {names.index('') + 1} below the header has no path")
    ids = [row.get("id") or _id(row["path"], id_style) for row in rows]
    return FileCatalog(
        as_ids(ids, name=str(path)), tuple(str(path.parent / name) for name in names)
    )
