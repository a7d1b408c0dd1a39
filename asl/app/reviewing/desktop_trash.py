"""Move files to the trash of the desktop, and take them out of it again."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from configparser import ConfigParser, Error
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from asl.storage import checksum
from asl.types import AslError

BY_HAND = "is not in a trash that can be read here; put it back from the trash of your desktop"


def move_to_trash(path: str) -> None:
    """Move one file to the trash.

    Raises:
        AslError: the system has no trash for it, or does not let it go; it stays where it is.
    """
    import send2trash

    try:
        send2trash.send2trash(path)
    except Exception as error:  # every system has its own classes
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise AslError(f"cannot go to the trash ({reason})") from error


@dataclass(frozen=True)
class TrashedFile:
    """A file in a trash folder after the freedesktop.org specification.

    Attributes:
        file: where it is now.
        info: file that names its former place.
        deleted: time as written there, ISO 8601 without a zone.
    """

    file: Path
    info: Path
    deleted: str


def trashed_files(paths: Iterable[str]) -> dict[str, list[TrashedFile]]:
    """Find files in the trash folders of their disks, by the place that they came from.

    Args:
        paths: absolute paths that the files had.

    Returns:
        Path -> its files in the trash, the newest first; paths without any are left out.
    """
    wanted = set(paths)
    found: dict[str, list[TrashedFile]] = defaultdict(list)
    for folder, top in _trash_folders(wanted):
        for info in sorted((folder / "info").glob("*.trashinfo")):
            origin, deleted = _read_info(info, top)
            file = folder / "files" / info.stem
            if origin in wanted and os.path.lexists(file):
                found[origin].append(TrashedFile(file, info, deleted))
    for files in found.values():
        files.sort(key=lambda entry: entry.deleted, reverse=True)
    return dict(found)


def _trash_folders(paths: Iterable[str]) -> Iterator[tuple[Path, Path]]:
    """Yield every trash folder that may hold files of the paths, and its top folder."""
    data = Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser()
    yield data / "Trash", data
    if not hasattr(os, "getuid"):
        return
    tops = {_mount_point(Path(folder)) for folder in {os.path.dirname(path) for path in paths}}
    for top in sorted(tops):
        yield top / ".Trash" / str(os.getuid()), top
        yield top / f".Trash-{os.getuid()}", top


def _mount_point(folder: Path) -> Path:
    place = Path(os.path.realpath(folder))
    while not os.path.ismount(place) and place != place.parent:
        place = place.parent
    return place


def _read_info(info: Path, top: Path) -> tuple[str, str]:
    """Return former place and time; empty where the file is none of the specification."""
    parser = ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(info.read_text(encoding="utf-8", errors="surrogateescape"))
        section = parser["Trash Info"]
        place = unquote(section["Path"], errors="surrogateescape")
        return os.path.normpath(os.path.join(top, place)), section.get("DeletionDate", "")
    except (OSError, Error, KeyError):
        return "", ""


def restore(path: str, digest: str, candidates: Iterable[TrashedFile]) -> None:
    """Move a file from the trash to its former place.

    Args:
        path: its former place.
        digest: SHA-256 of its content.
        candidates: files in the trash that came from there.

    Raises:
        AslError: none of them has the content, or something is in its place.
    """
    for entry in candidates:
        if checksum(entry.file, remedy="put it back by hand") == digest:
            put_back(entry.file, path)
            entry.info.unlink(missing_ok=True)
            return
    raise AslError(BY_HAND)


def put_back(file: Path, path: str) -> None:
    """Move a file to a place where nothing is; nothing is overwritten.

    Raises:
        AslError: something is there, or the file cannot be moved.
    """
    import shutil

    if os.path.lexists(path):
        raise AslError("another file has its place now")
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        shutil.move(os.fspath(file), path)
    except OSError as error:
        raise AslError(f"cannot be moved ({error.strerror or error})") from error
