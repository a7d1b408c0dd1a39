"""Files of a folder and its sub-folders: images, shards, and pictures that are skipped."""

from __future__ import annotations

import mimetypes
import os
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from asl.data.signatures import (
    CAMERA_RAW,
    HEAD_BYTES,
    PICTURE_EXTENSIONS,
    RAW_EXTENSIONS,
    is_read,
    picture_format,
    read_extensions,
)

SHARD_EXTENSIONS = (".tar", ".parquet")


@dataclass(frozen=True)
class FolderContents:
    """The contents of a folder, hidden files and folders left out.

    Attributes:
        images: paths of images inside the folder, with ``/``, sorted.
        shards: paths of ``.tar`` and ``.parquet`` files inside the folder, sorted.
        skipped: ending -> number of pictures in formats that cannot be decoded.
        unreadable: (path inside the folder, reason) of sub-folders that may not be read, and of
            links to folders that are not there.
    """

    images: list[str] = field(default_factory=list)
    shards: list[str] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    unreadable: list[tuple[str, str]] = field(default_factory=list)


def scan_folder(folder: Path, *, without: Collection[str] = ()) -> FolderContents:
    """List a folder through all levels, but for the sub-folders ``without`` directly in it.

    Links to folders are followed, each real folder is listed once (under its own path where it is
    inside ``folder``), so loops end. The first bytes decide about files whose ending is not that of
    an image; a link to an image counts as an image.
    """
    contents = FolderContents()
    endings = read_extensions()
    for name in _files(folder, contents.unreadable, without):
        ending = os.path.splitext(name)[1].lower()
        if ending in endings:
            contents.images.append(name)
        elif ending in SHARD_EXTENSIONS:
            contents.shards.append(name)
        else:
            kind = file_format(folder / name)
            if is_read(kind):
                contents.images.append(name)
            elif ending in PICTURE_EXTENSIONS:
                contents.skipped[ending] += 1
            elif kind is not None:
                contents.skipped[f"{ending or 'without ending'} ({kind})"] += 1
    contents.images.sort()
    contents.shards.sort()
    return contents


def file_format(path: Path) -> str | None:
    """Return the format by the first bytes; None where the file cannot be read or is a pipe.

    A file that begins as a TIFF is a camera RAW where its ending says so.
    """
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            kind = picture_format(file.read(HEAD_BYTES))
    except OSError:
        return None
    return CAMERA_RAW if kind == "TIFF" and path.suffix.lower() in RAW_EXTENSIONS else kind


def _files(
    folder: Path, unreadable: list[tuple[str, str]], without: Collection[str]
) -> Iterator[str]:
    """Yield the paths of files inside a folder; links to folders wait until the rest is listed."""
    waiting = [""]
    links: list[str] = []
    seen: set[str] = set()
    while waiting or links:
        inside = waiting.pop() if waiting else links.pop()
        real = os.path.realpath(folder / inside)
        if real in seen:
            continue
        seen.add(real)
        try:
            with os.scandir(folder / inside) as entries:
                listed = sorted(entries, key=lambda entry: entry.name, reverse=True)
        except OSError as error:
            unreadable.append((inside or ".", error.strerror or str(error)))
            continue
        for entry in listed:
            if entry.name.startswith("."):  # thumbnails, caches and version control
                continue
            if not inside and entry.name in without:
                continue
            name = f"{inside}/{entry.name}" if inside else entry.name
            if entry.is_dir(follow_symlinks=False):
                waiting.append(name)
            elif not entry.is_symlink():
                yield name
            elif os.path.isdir(entry.path):
                links.append(name)
            elif os.path.exists(entry.path) or _is_file_name(name):
                yield name
            else:
                unreadable.append((name, "a link to something that is not there"))


def _is_file_name(name: str) -> bool:
    """Guess from its ending whether a dangling link was one to a file."""
    ending = os.path.splitext(name)[1].lower()
    return ending in PICTURE_EXTENSIONS or mimetypes.guess_type(name)[0] is not None
