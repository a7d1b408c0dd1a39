"""Files on disk and the store that remembers them: only what is new is embedded, what is gone is forgotten."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from asl.app.library.image_store import ImageStore
from asl.app.library.ingest import Intake, Source
from asl.app.library.records import Name
from asl.data.catalog import FileCatalog, open_catalog
from asl.data.images import TOO_LARGE
from asl.storage import printable_name
from asl.types import UsageError

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Listing:
    """The files of a folder (or of a list).

    Attributes:
        root: the folder, or the folder of the list.
        sources: one per file, named by its absolute path.
        inodes: (device, number) of every file.
        links: how many further names of files that are listed (here or beside) were left out.
        skipped: (ending, how many files) of pictures in formats that cannot be read.
    """

    root: Path
    sources: tuple[Source, ...]
    inodes: frozenset[tuple[int, int]] = frozenset()
    links: int = 0
    skipped: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Synced:
    """What a store now knows of some files.

    Attributes:
        digests: absolute path -> content, for files that are usable images.
        failures: absolute path -> why not, for the others.
        embedded: how many contents were new.
        reused: how many usable files were known, or had a known content (moved, copied).
        forgotten: how many known files are gone from the disk.
    """

    digests: dict[str, str]
    failures: dict[str, str]
    embedded: int
    reused: int
    forgotten: int


def list_files(source: str | Path, *, role: str, beside: Listing | None = None) -> Listing:
    """The image files of a folder, an image, or a list of paths; links to one file are one file.

    A link beside its file would be listed as a copy of it, and whoever deletes the "original" has
    neither.

    Args:
        source: what to list.
        role: names it in errors.
        beside: files that are listed already, and left out here.

    Raises:
        UsageError: nothing is there, or it is an archive.
        AslError: there is no image in it.
    """
    path = Path(source)
    if not path.exists():
        raise UsageError(f"{role}: there is no {path}")
    catalog = open_catalog(path)
    if not isinstance(catalog, FileCatalog):
        raise UsageError(
            f"{role}: scan takes a folder, an image or a list of files; unpack {path.name} first"
        )
    files = dict.fromkeys(os.path.abspath(name) for name in catalog.paths)
    root = path if path.is_dir() else path.parent
    there = {source.name for source in beside.sources} if beside else set()
    sources, inodes, links = _once(
        [name for name in files if printable_name(name) not in there], beside
    )
    return Listing(Path(os.path.abspath(root)), sources, inodes, links, catalog.skipped)


def _once(
    paths: Sequence[str], beside: Listing | None
) -> tuple[tuple[Source, ...], frozenset[tuple[int, int]], int]:
    """Sources of files, each file once, the set of their inodes, and how many names were left out."""
    taken = beside.inodes if beside else frozenset[tuple[int, int]]()
    sources: list[Source] = []
    place: dict[tuple[int, int], int] = {}
    links = 0
    for path in paths:
        source, inode = _source(path)
        if inode is None or (inode not in place and inode not in taken):
            if inode is not None:
                place[inode] = len(sources)
            sources.append(source)
            continue
        links += 1
        if inode in place and _better(path, os.fspath(str(sources[place[inode]].data))):
            sources[place[inode]] = source
    return tuple(sources), frozenset(place), links


def _better(path: str, than: str) -> bool:
    """Whether a name of a file is rather its own: no link on the way to it, else the shorter one."""

    def rank(name: str) -> tuple[bool, bool, int, str]:
        return os.path.islink(name), os.path.realpath(name) != name, len(name), name

    return rank(path) < rank(than)


def _source(path: str) -> tuple[Source, tuple[int, int] | None]:
    """A file, and its inode where the system says it."""
    try:
        found = os.stat(path)
    except OSError:
        return Source(printable_name(path), Path(path)), None
    inode = (found.st_dev, found.st_ino) if found.st_ino else None
    return Source(
        printable_name(path), Path(path), size=found.st_size, changed=found.st_mtime_ns
    ), inode


def sync(
    store: ImageStore,
    intake: Intake,
    sources: Sequence[Source],
    *,
    progress: Progress | None = None,
) -> Synced:
    """Bring a store up to date with files.

    A file of known path, size and modification time is not read; one of known content is read, not
    embedded.

    Args:
        store: is changed.
        intake: its model.
        sources: the files that shall be known.
        progress: called with (files done, files to do).
    """
    known = {name.name: name for name in store.names()}
    for again in _once_too_large(
        store, [known[source.name] for source in sources if source.name in known]
    ):
        del known[again]
    fresh = []
    for source in sources:
        name = known.get(source.name)
        if (
            name is None
            or not source.changed
            or (name.size, name.changed) != (source.size, source.changed)
        ):
            fresh.append(source)
    done = len(sources) - len(fresh)
    embedded = reused = 0
    unread: dict[str, str] = {}
    for taken in intake.run(fresh, store):
        done += 1
        embedded += taken.new
        reused += bool(taken.digest) and not taken.new and not taken.failure
        if not taken.digest:
            unread[taken.source.name] = taken.failure
        if progress:
            progress(done, len(sources))
    if progress:
        progress(done, len(sources))
    forgotten = store.remove(_gone(known, {source.name for source in sources}, unread))
    store.sweep()  # only now: the content of one file may since be that of another
    result = _result(store, sources, unread, embedded, reused, forgotten)
    new = {source.name for source in fresh}
    return replace(result, reused=reused + sum(name not in new for name in result.digests))


def _once_too_large(store: ImageStore, names: Sequence[Name]) -> list[str]:
    """Forget files that had too many pixels: this scan may have a higher limit. Returns their names."""
    reasons = store.failures(sorted({name.digest for name in names}))
    again = [name.name for name in names if reasons.get(name.digest, "").startswith(TOO_LARGE)]
    store.remove(again)
    return again


def _gone(known: Iterable[str], listed: set[str], unread: dict[str, str]) -> list[str]:
    """Names whose files are not on the disk any more; after the intake, so that a moved file keeps its content.

    A file that is there and could not be read this time (no permission, a share that broke off) is
    not gone.
    """
    return [name for name in known if (name in unread or name not in listed) and _is_gone(name)]


def _is_gone(path: str) -> bool:
    """Whether it is certain that there is no such file; a folder that may not be entered says nothing."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _result(
    store: ImageStore,
    sources: Sequence[Source],
    unread: dict[str, str],
    embedded: int,
    reused: int,
    forgotten: int,
) -> Synced:
    at = {name.name: name.digest for name in store.names()}
    # What is remembered of a file that cannot be read now is kept, and not shown.
    digests = {
        source.name: at[source.name]
        for source in sources
        if source.name in at and source.name not in unread
    }
    broken = store.failures(sorted(set(digests.values())))
    failures = {name: broken[digest] for name, digest in digests.items() if digest in broken}
    usable = {name: digest for name, digest in digests.items() if digest not in broken}
    return Synced(usable, {**failures, **unread}, embedded, reused, forgotten)
