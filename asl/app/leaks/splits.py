"""Read the splits of a data set: folders, lists, a CSV with a split column, shards."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path

from asl.app.library.records import Source
from asl.app.library.sync import FileListing, file_source
from asl.data.archives import TarCatalog
from asl.data.catalog import Catalog, FileCatalog, open_catalog, open_shards, read_path_table
from asl.data.folder_scan import SHARD_EXTENSIONS, scan_folder
from asl.data.parquet_images import ParquetCatalog
from asl.storage import absent, printable_name
from asl.types import AslError, UsageError

# The hub writes ``train-00000-of-00004.parquet``, WebDataset tools ``train-000000.tar``.
_SHARD_NAME = re.compile(r"(.*?)[-_.]?\d+(?:-of-\d+)?")
_RANKS = (("train",), ("val", "dev"), ("test", "eval", "holdout"))  # beginnings of names of splits


@dataclass(frozen=True, eq=False)
class Split:
    """One split of a data set.

    Attributes:
        name: of the split, such as ``train``.
        listing: its images, each once.
        repeated: number of rows of a list that name a listed image again.
    """

    name: str
    listing: FileListing
    repeated: int = 0

    @property
    def names(self) -> list[str]:
        """Absolute paths of the images."""
        return [source.name for source in self.listing.sources]


@dataclass(frozen=True, eq=False)
class Member:
    """An image of an archive or a table, which is read when it is needed.

    Attributes:
        catalog: that holds it.
        row: of the image.
    """

    catalog: Catalog
    row: int

    def read(self) -> bytes:
        """Return its encoded bytes."""
        return self.catalog.read(self.row)


def read_splits(
    sets: Sequence[Path],
    *,
    column: str | None,
    chosen: Sequence[str],
    path_column: str = "path",
) -> list[Split]:
    """Read the splits of a data set, in order: the training images first.

    Args:
        sets: two splits or more, each a folder, an image, a list or shards; or one CSV with a
            column of splits; or one folder whose sub-folders or shards are named by their split
            (``train/``, ``test-00000-of-00001.parquet``).
        column: name of the column of splits.
        chosen: splits to take of a CSV or a folder, in order; empty: all.
        path_column: name of the column of paths.

    Raises:
        UsageError: fewer than two splits, an unknown column or split, or a path that does not
            exist.
        AslError: a split has no image, or cannot be read.
    """
    _check_paths(sets)
    if column is not None:
        if len(sets) != 1 or sets[0].suffix.lower() != ".csv":
            raise UsageError("--split-column: takes one CSV; leave it out to compare several sets")
        return _chosen(_splits_of_table(sets[0], column, path_column), chosen, sets[0])
    if len(sets) == 1:
        return _chosen(_splits_of_folder(sets[0]), chosen, sets[0])
    if chosen:
        raise UsageError("--splits: is for one CSV or one folder; name the sets in order instead")
    names = _distinct_names(sets)
    return [_split(name, open_catalog(path, complete=False), path) for name, path in names.items()]


def _check_paths(sets: Sequence[Path]) -> None:
    if not sets:
        raise UsageError("sets: give two sets, a CSV with --split-column, or a folder of splits")
    for path in sets:
        if not path.exists():
            raise UsageError(
                f"sets: {absent(path)}; check the path of this folder, list, archive or table"
            )
    for first, second in combinations(sets, 2):
        if os.path.samefile(first, second):
            raise UsageError(f"sets: {first} and {second} are the same; give each split once")


def _chosen(splits: dict[str, Split], chosen: Sequence[str], source: Path) -> list[Split]:
    """Select splits by name, or all with those for training first."""
    unknown = [name for name in chosen if name not in splits]
    if unknown or len(set(chosen)) < len(chosen):
        raise UsageError(
            f"--splits: {unknown[0] if unknown else chosen[0]!r} is unknown or given twice; "
            f"{source} has {', '.join(splits)}"
        )
    names = list(chosen) or sorted(splits, key=_rank)
    if len(names) < 2:
        raise UsageError(
            f"{source}: two splits or more are compared, found {', '.join(names) or 'none'}; give "
            "two sets, a CSV with --split-column, or a folder with train/ and test/"
        )
    return [splits[name] for name in names]


def _rank(name: str) -> int:
    """Place of a split by its name: training, validation, others, test."""
    for rank, beginnings in enumerate(_RANKS):
        if name.lower().startswith(beginnings):
            return rank if rank < 2 else 3
    return 2


def _is_split_name(name: str) -> bool:
    return any(name.lower().startswith(beginnings) for beginnings in _RANKS)


def _distinct_names(sets: Sequence[Path]) -> dict[str, Path]:
    """Name sets by their last part, or as they were typed where two share it."""
    short = [path.absolute().stem if path.is_file() else path.absolute().name for path in sets]
    names = short if len(set(short)) == len(short) else [str(path) for path in sets]
    return dict(zip(map(printable_name, names), sets, strict=True))


def _splits_of_table(path: Path, column: str, path_column: str) -> dict[str, Split]:
    try:
        rows = read_path_table(path, column=path_column)
    except AslError as error:
        raise UsageError(str(error)) from error
    if column not in rows[0]:
        known = ", ".join(str(name) for name in rows[0])
        raise UsageError(f"--split-column: {path} has no column {column!r}; it has {known}")
    names: dict[str, list[str]] = {}
    for number, row in enumerate(rows, start=1):
        if not row[column].strip():
            raise UsageError(
                f"{path}: row {number} below the header has no {column}; name its split"
            )
        names.setdefault(row[column].strip(), []).append(row[path_column])
    return {
        split: _listed(split, path.parent, [os.path.abspath(path.parent / name) for name in listed])
        for split, listed in names.items()
    }


def _splits_of_folder(path: Path) -> dict[str, Split]:
    """Split a folder by its sub-folders or its shards; empty where none is named by a split."""
    if not path.is_dir():
        return {}
    if by_name := split_folders(path):
        return {
            name: _split(name, open_catalog(inside, complete=False), inside)
            for name, inside in by_name.items()
        }
    shards: dict[str, list[Path]] = {}
    for name in scan_folder(path).shards:
        split = split_of_shard(name)
        if split:
            shards.setdefault(split, []).append(path / name)
    return {name: _split(name, open_shards(files), path) for name, files in shards.items()}


def split_folders(path: Path) -> dict[str, Path]:
    """Return the sub-folders that are named by their split; empty where there are not two."""
    folders = sorted(inside for inside in path.iterdir() if inside.is_dir())
    by_name = {inside.name: inside for inside in folders if _is_split_name(inside.name)}
    return by_name if len(by_name) > 1 else {}


def split_of_shard(name: str) -> str:
    """Return the split that the name of a shard begins with; empty for a name without a number.

    >>> split_of_shard("data/train-00000-of-00004.parquet"), split_of_shard("val_000012.tar")
    ('train', 'val')
    >>> split_of_shard("test.parquet"), split_of_shard("images.tar")
    ('test', '')
    """
    stem = Path(name).name.removesuffix(".gz")
    for ending in SHARD_EXTENSIONS:
        stem = stem.removesuffix(ending)
    numbered = _SHARD_NAME.fullmatch(stem)
    if numbered:
        return numbered[1]
    return stem if _is_split_name(stem) else ""


def _split(name: str, catalog: Catalog, path: Path) -> Split:
    if isinstance(catalog, FileCatalog):
        files = [os.path.abspath(file) for file in catalog.paths]
        return _listed(name, path if path.is_dir() else path.parent, files, catalog)
    sources = tuple(_member_sources(catalog, path))
    return Split(name, FileListing(Path(os.path.abspath(path)), path, sources))


def _listed(
    name: str, folder: Path, files: Sequence[str], catalog: FileCatalog | None = None
) -> Split:
    """Make a split of files; links stay, since every name of a leaking file has to go."""
    once = list(dict.fromkeys(files))
    listing = FileListing(
        Path(os.path.abspath(folder)),
        folder,
        tuple(file_source(file)[0] for file in once),
        skipped=catalog.skipped if catalog else (),
        unreadable=_unreadable(catalog),
    )
    return Split(name, listing, len(files) - len(once))


def _unreadable(catalog: FileCatalog | None) -> tuple[tuple[str, str], ...]:
    found: Iterable[tuple[str, str]] = catalog.unreadable if catalog else ()
    return tuple((printable_name(os.path.abspath(path)), reason) for path, reason in found)


def _member_sources(catalog: Catalog, path: Path) -> Iterator[Source]:
    """Yield the images of shards, read when they are needed; they change with their shard.

    Each is named ``SHARD/ID``: splits whose shards share a folder number their samples alike.
    """

    @cache
    def facts(shard: str) -> tuple[str, int, int]:
        status = os.stat(shard)
        return printable_name(os.path.abspath(shard)), status.st_size, status.st_mtime_ns

    for row, name in enumerate(catalog.ids.tolist()):
        if isinstance(catalog, TarCatalog | ParquetCatalog):
            shard, size, changed = facts(catalog.file_of(row))
            yield Source(f"{shard}/{name}", Member(catalog, row), size=size, changed=changed)
        else:
            yield Source(f"{printable_name(os.path.abspath(path))}/{name}", Member(catalog, row))
