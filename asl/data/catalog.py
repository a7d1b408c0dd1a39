"""Catalogs of images, wherever they are stored: a folder, a list, tar archives, Parquet tables.

A catalog knows the id of every image and how to get its encoded bytes; decoding is left to its
users. Catalogs are small and picklable, so that worker processes can read for themselves.
"""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from asl.counts import counted
from asl.data.archives import open_tar
from asl.data.folder_scan import FolderContents, file_format, scan_folder
from asl.data.images import Pixels, decode_image, read_file
from asl.data.parquet_images import open_parquet
from asl.data.signatures import (
    INSTALL_PHOTOS,
    PICTURE_EXTENSIONS,
    is_optional,
    is_read,
    read_extensions,
)
from asl.storage import dead_link, file_stamp, printable_name
from asl.types import I64, AslError, StrArray, UsageError, as_ids

IdStyle = Literal["path", "stem"]
LIST_EXTENSIONS = (".txt", ".csv")  # of paths
_SHOWN = 60  # characters of a line of a list, in messages


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
        """Return the encoded bytes of an image.

        Raises:
            OSError: they cannot be read.
            AslError: there are none.
        """
        ...

    def locate(self, row: int) -> str:
        """Return where an image is stored, for people."""
        ...

    def stamp(self, row: int) -> str:
        """Return a text that changes when an image may have changed, without reading it.

        It does not depend on the folder that the images are in; empty where nothing is known.

        Raises:
            OSError: the image is not there.
        """
        ...


@dataclass(frozen=True, eq=False)
class FileCatalog:
    """Image files on disk.

    Attributes:
        ids: ``[N]`` unique strings.
        paths: one path per id.
        skipped: (ending, number of files) of pictures in formats that cannot be read, the most
            frequent first.
        unreadable: (path, reason) of sub-folders that could not be listed.
    """

    ids: StrArray
    paths: tuple[str, ...]
    skipped: tuple[tuple[str, int], ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", as_ids(self.ids, name="images"))
        if len(self.paths) != len(self.ids):
            raise AslError(
                f"images: {counted(len(self.ids), 'id')} for {counted(len(self.paths), 'path')}; "
                "give one each"
            )

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, row: int) -> bytes:
        """Return the bytes of the file."""
        return read_file(Path(self.paths[row]))

    def locate(self, row: int) -> str:
        """Return the path of the file."""
        return printable_name(self.paths[row])

    def stamp(self, row: int) -> str:
        """Return size and modification time of the file."""
        return file_stamp(self.paths[row])


@dataclass(frozen=True, eq=False)
class Subset:
    """Some rows of another catalog, in a given order.

    Attributes:
        base: the other catalog.
        rows: int64 ``[N]`` rows of it.
    """

    base: Catalog
    rows: I64

    @cached_property
    def ids(self) -> StrArray:
        """``[N]`` unique ids."""
        return as_ids(self.base.ids[self.rows], name="images")

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, row: int) -> bytes:
        """Return the encoded bytes of an image."""
        return self.base.read(int(self.rows[row]))

    def locate(self, row: int) -> str:
        """Return where an image is stored."""
        return self.base.locate(int(self.rows[row]))

    def stamp(self, row: int) -> str:
        """Return the stamp of an image in the other catalog."""
        return self.base.stamp(int(self.rows[row]))


def subset(catalog: Catalog, rows: npt.ArrayLike) -> Catalog:
    """Return some rows of a catalog, in the order given."""
    return Subset(catalog, np.asarray(rows, dtype=np.int64))


@dataclass(frozen=True, eq=False)
class CatalogLoader:
    """Map an id to pixels; picklable, so that other processes can load for themselves.

    Attributes:
        catalog: of the images.
        rows: id -> row of the catalog.
    """

    catalog: Catalog
    rows: Mapping[str, int]

    @classmethod
    def of(cls, catalog: Catalog) -> CatalogLoader:
        """Make a loader of all images of a catalog."""
        return cls(catalog, {name: row for row, name in enumerate(catalog.ids.tolist())})

    def __call__(self, name: str) -> Pixels:
        """Decode one image.

        Raises:
            AslError: no such id, or the image cannot be decoded.
        """
        if name not in self.rows:
            raise AslError(
                f"{name}: has no image in the catalog; use the ids of the images (id_style)"
            )
        return decode_image(self.catalog.read(self.rows[name]))


def open_catalog(
    source: str | Path, *, id_style: IdStyle = "path", complete: bool = True
) -> Catalog:
    """Open images by the kind of their source.

    Args:
        source: a folder (of images, searched through all levels and links to folders, sorted by
            path; or of ``.tar`` or ``.parquet`` shards), an image file, a ``.txt`` of paths, a
            ``.csv`` with a column ``path`` (and perhaps ``id``), a ``.tar``, or a ``.parquet`` with
            a column of bytes (``image``, ``bytes``, ``jpg`` ...) or of structs
            ``{bytes, path}``. Relative paths in a list are taken from the list's own folder.
        id_style: ``path`` keeps ``sub/name.jpg``; ``stem`` is ``name`` alone, as in DISC21.
        complete: refuse a folder with sub-folders that may not be read. False lists them in
            :attr:`FileCatalog.unreadable`.

    Raises:
        UsageError: nothing is there, or a file of another kind.
        AslError: no image is in it, two images get the same id, or a part of it cannot be read.
    """
    path = Path(source)
    if path.is_dir():
        return _open_folder(path, id_style, complete)
    if not path.exists():
        raise UsageError(f"{path}: {dead_link(path) or 'there is no such file or folder'}")
    ending = path.suffix.lower()
    if ending in read_extensions():
        return _files([path], [path.name], id_style, source=path)
    if ending in LIST_EXTENSIONS:
        return _not_empty(_open_list(path, id_style), path)
    if ending in (".tar", ".parquet"):
        return open_shards([path], id_style=id_style)
    kind = file_format(path)
    if is_read(kind):
        return _files([path], [path.name], id_style, source=path)
    if kind or ending in PICTURE_EXTENSIONS:
        raise AslError(f"{path}: has {skipped_text([(ending or str(kind), 1)])}")
    raise UsageError(
        f"{path}: expected a folder, an image, or a .txt, .csv, .tar or .parquet of images"
    )


def skipped_text(skipped: Sequence[tuple[str, int]]) -> str:
    """Describe pictures that are left out, and how to read them.

    >>> skipped_text([(".psd", 5), (".tar", 1)])
    '5 .psd, 1 .tar (formats this cannot read)'
    >>> skipped_text([(".heic", 5), (".psd", 3)])
    '5 .heic (to read them: pip install "asl-icd[photos]"), 3 .psd (formats this cannot read)'
    """
    parts = []
    for curable, remark in (
        (True, f"to read them: {INSTALL_PHOTOS}"),
        (False, "formats this cannot read"),
    ):
        counts = [f"{count} {label}" for label, count in skipped if is_optional(label) == curable]
        if counts:
            parts.append(f"{', '.join(counts)} ({remark})")
    return ", ".join(parts)


def _open_folder(path: Path, id_style: IdStyle, complete: bool) -> Catalog:
    contents = scan_folder(path)
    if contents.unreadable and (complete or not (contents.images or contents.shards)):
        inside, reason = contents.unreadable[0]
        more = len(contents.unreadable) - 1
        others = f" (and {more} more)" if more else ""
        raise AslError(
            f"{path / inside}: cannot be read ({reason}){others}; its images would be missing; "
            "change its permissions or move it away"
        )
    if not contents.images and contents.shards:
        shards = [path / name for name in contents.shards]
        return open_shards(shards, id_style=id_style)
    skipped = tuple(_skipped(contents).most_common())
    files = _files(
        [path / name for name in contents.images], contents.images, id_style, source=path
    )
    unreadable = tuple((str(path / name), reason) for name, reason in contents.unreadable)
    catalog = replace(files, skipped=skipped, unreadable=unreadable)
    return _not_empty(catalog, path, skipped)


def _skipped(contents: FolderContents) -> Counter[str]:
    """Count pictures of other formats, and shards beside images, whose images are not listed."""
    return contents.skipped + Counter(Path(name).suffix.lower() for name in contents.shards)


def open_shards(shards: Sequence[Path], *, id_style: IdStyle = "path") -> Catalog:
    """Open the images of tar archives, or of Parquet tables, one file after the other.

    Args:
        shards: files of one kind, one or more.
        id_style: as in :func:`open_catalog`.

    Raises:
        AslError: both kinds, a file that cannot be read, no image, or an id twice.
    """
    endings = sorted({shard.suffix.lower() for shard in shards})
    if len(endings) > 1:
        raise AslError(
            f"{shards[0].parent}: holds both {' and '.join(endings)} files; put them into two "
            "folders"
        )
    opener = open_tar if endings == [".tar"] else open_parquet
    catalog: Catalog = opener(shards, lambda name: _id(name, id_style))
    return _not_empty(catalog, shards[0] if len(shards) == 1 else shards[0].parent)


def _not_empty(catalog: Catalog, path: Path, skipped: Sequence[tuple[str, int]] = ()) -> Catalog:
    if len(catalog):
        return catalog
    others = f"has {skipped_text(skipped)}, but " if skipped else ""
    looked_for = ", ".join(sorted(read_extensions()))
    raise AslError(f"{path}: {others}no image in it (looked for {looked_for})")


def _files(
    paths: Sequence[Path], names: Sequence[str], id_style: IdStyle, *, source: Path
) -> FileCatalog:
    ids = [_id(name, id_style) for name in names]
    first: dict[str, str] = {}
    for own, name in zip(ids, names, strict=True):
        if own in first:
            raise AslError(
                f"{source}: {first[own]} and {name} get the same id {own!r}; remove or rename one"
                + (", or use id_style=path" if id_style == "stem" else "")
            )
        first[own] = name
    return FileCatalog(as_ids(ids, name=str(source)), tuple(str(path) for path in paths))


def _id(name: str, id_style: IdStyle) -> str:
    return printable_name(name if id_style == "path" else Path(name).stem)


def _open_list(path: Path, id_style: IdStyle) -> FileCatalog:
    if path.suffix.lower() == ".txt":
        names = [line.strip() for line in _list_text(path).splitlines() if line.strip()]
        _check_listed(path, names)
        return _files([path.parent / name for name in names], names, id_style, source=path)
    rows = read_path_table(path)
    names = [row["path"] for row in rows]
    _check_listed(path, names)
    ids = [row.get("id") or _id(row["path"], id_style) for row in rows]
    paths = tuple(str(path.parent / name) for name in names)
    return FileCatalog(as_ids(ids, name=str(path)), paths)


def _check_listed(path: Path, names: Sequence[str]) -> None:
    """Refuse a list without a single file: it is a text of another kind, or lies elsewhere."""
    if names and not any(os.path.lexists(path.parent / name) for name in names):
        rows = counted(len(names), "row leads", "rows lead")
        raise AslError(
            f"{path}: read as a list of paths, whose {rows} to no file, e.g. "
            f"{names[0][:_SHOWN]!r}; give a folder, an image, or a list of paths that start in "
            f"{path.parent}"
        )


def read_path_table(path: Path, *, column: str = "path") -> list[dict[str, str]]:
    """Read the rows of a CSV with a column of paths; a cell that is missing is empty.

    Args:
        path: of the file.
        column: with the paths.

    Raises:
        AslError: it cannot be read, has no such column, or a row has no path.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(_list_text(path), newline=""), restval=""))
    except csv.Error as error:
        raise AslError(f"{path}: cannot be read as CSV ({error})") from error
    if not rows or column not in rows[0]:
        header = "`path` or `id,path`" if column == "path" else f"that has `{column}`"
        raise AslError(f"{path}: no column `{column}`; begin with the header {header}")
    for number, row in enumerate(rows, start=1):
        if not row[column]:
            raise AslError(f"{path}: row {number} below the header has no path")
    return rows


def _list_text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise AslError(
            f"{path}: cannot be read as a list in UTF-8 ({error}); save it as UTF-8 text"
        ) from error
    if "\0" in text:
        raise AslError(f"{path}: has a NUL character in it; give a text file of paths")
    return text
