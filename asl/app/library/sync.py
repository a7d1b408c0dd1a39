"""List image files and bring a store up to date with them: embed new ones, forget deleted ones."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from asl.app.library.file_filter import FileFilter
from asl.app.library.image_store import ImageStore
from asl.app.library.ingest import Ingestor
from asl.app.library.records import Name, Source
from asl.app.library.shots import raw_of_photos
from asl.counts import counted
from asl.data.catalog import LIST_EXTENSIONS, FileCatalog, open_catalog
from asl.data.images import is_curable
from asl.notices import notice
from asl.storage import absent, printable_name
from asl.types import AslError, Progress, UsageError

Inode = tuple[int, int]  # (device, number)


@dataclass(frozen=True)
class FileListing:
    """Image files of a folder or a list.

    Attributes:
        root: absolute path of the folder, or of the folder of the list.
        typed_root: the same folder as the caller wrote it.
        sources: one per file, named by its absolute path.
        inodes: of every file.
        links: number of further names of listed files, which were left out.
        raw_twins: number of RAW files left out beside the JPEG or HEIC of their shot.
        skipped: (ending, number of files) of images in unreadable formats.
        unreadable: (path, reason) of sub-folders that could not be listed.
        left_out: number of files that a filter left out.
        more_roots: (absolute, as written) of further folders.
    """

    root: Path
    typed_root: Path
    sources: tuple[Source, ...]
    inodes: frozenset[Inode] = frozenset()
    links: int = 0
    raw_twins: int = 0
    skipped: tuple[tuple[str, int], ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()
    left_out: int = 0
    more_roots: tuple[tuple[Path, Path], ...] = ()

    @property
    def roots(self) -> tuple[tuple[Path, Path], ...]:
        """(absolute, as written) of every folder."""
        return ((self.root, self.typed_root), *self.more_roots)

    def joined(self, other: FileListing) -> FileListing:
        """Return both as one listing; the caller has left out the files that both name."""
        skipped = Counter(dict(self.skipped))
        skipped.update(dict(other.skipped))
        return replace(
            self,
            sources=(*self.sources, *other.sources),
            inodes=self.inodes | other.inodes,
            links=self.links + other.links,
            raw_twins=self.raw_twins + other.raw_twins,
            skipped=tuple(skipped.most_common()),
            unreadable=(*self.unreadable, *other.unreadable),
            left_out=self.left_out + other.left_out,
            more_roots=(*self.more_roots, *other.roots),
        )


@dataclass(frozen=True)
class SyncResult:
    """State of a store for some files.

    Attributes:
        digests: absolute path -> content, for files that are usable images.
        failures: absolute path -> reason, for the others.
        embedded: number of new contents.
        reused: number of usable files that were known, or had a known content (moved, copied).
        forgotten: number of known files that are gone from the disk.
    """

    digests: dict[str, str]
    failures: dict[str, str]
    embedded: int
    reused: int
    forgotten: int


def list_folders(
    sources: Sequence[str | Path],
    *,
    role: str,
    already_listed: FileListing | None = None,
    chosen: FileFilter | None = None,
) -> FileListing:
    """List the image files of several folders as :func:`list_files` does; each file counts once.

    Raises:
        UsageError: there is none, or one cannot be listed.
        AslError: one holds no image.
    """
    if not sources:
        raise UsageError(f"{role}: give at least one folder, image or list of paths")
    listed: FileListing | None = None
    for source in sources:
        known = [listing for listing in (already_listed, listed) if listing]
        before = known[0].joined(known[1]) if len(known) == 2 else next(iter(known), None)
        found = list_files(source, role=role, already_listed=before, chosen=chosen)
        listed = listed.joined(found) if listed else found
    if listed is None or (not listed.sources and listed.left_out):
        raise AslError(f"{role}: --exclude and --min-size leave no image; loosen them")
    return listed


def list_files(
    source: str | Path,
    *,
    role: str,
    already_listed: FileListing | None = None,
    chosen: FileFilter | None = None,
) -> FileListing:
    """List the image files of a folder, an image, or a list of paths; links count once.

    A RAW is left out where the JPEG or HEIC of its shot is listed: the two belong together
    (:mod:`asl.app.library.shots`). A link beside its file would be reported as a copy of it; after
    deleting the "original" neither would be left.

    Args:
        source: folder, image or list to read.
        role: name of the argument, for errors.
        already_listed: files to leave out.
        chosen: None keeps every file.

    Raises:
        UsageError: there is no such path, or it is an archive.
        AslError: it holds no image that can be listed.
    """
    path = Path(source)
    if not path.exists():
        raise UsageError(f"{role}: {absent(path)}; check the path of this folder, image or list")
    catalog = open_catalog(path, complete=False)
    if not isinstance(catalog, FileCatalog):
        raise UsageError(
            f"{role}: scan takes a folder, an image or a list of files, got the archive "
            f"{path.name}; unpack it first"
        )
    if path.is_file() and path.suffix.lower() in LIST_EXTENSIONS:
        notice(f"{role}: {path} is read as a list of {counted(len(catalog.paths), 'path')}")
    files = dict.fromkeys(os.path.abspath(name) for name in catalog.paths)
    root = path if path.is_dir() else path.parent
    absolute = os.path.abspath(root)
    count = len(files)
    if chosen is not None:
        files = {name: None for name in files if chosen.keeps(name, absolute)}
    twins = raw_of_photos(files)
    known = {source.name for source in already_listed.sources} if already_listed else set()
    other_inodes = already_listed.inodes if already_listed else frozenset[Inode]()
    sources, inodes, links = _one_per_file(
        [name for name in files if name not in twins and printable_name(name) not in known],
        other_inodes,
    )
    unreadable = tuple(
        (printable_name(os.path.abspath(name)), reason) for name, reason in catalog.unreadable
    )
    return FileListing(
        Path(absolute),
        root,
        sources,
        inodes,
        links,
        len(twins),
        catalog.skipped,
        unreadable,
        count - len(files),
    )


def _one_per_file(
    paths: Sequence[str], other_inodes: frozenset[Inode]
) -> tuple[tuple[Source, ...], frozenset[Inode], int]:
    """Return one source per inode, the inodes, and the number of names left out."""
    sources: list[Source] = []
    place_of: dict[Inode, int] = {}
    links = 0
    for path in paths:
        source, inode = file_source(path)
        if inode is None or (inode not in place_of and inode not in other_inodes):
            if inode is not None:
                place_of[inode] = len(sources)
            sources.append(source)
            continue
        links += 1
        if inode in place_of:
            listed = os.fspath(str(sources[place_of[inode]].data))
            if _link_rank(path) < _link_rank(listed):
                sources[place_of[inode]] = source
    return tuple(sources), frozenset(place_of), links


def _link_rank(name: str) -> tuple[bool, bool, int, str]:
    """Sort key by which the real name of a file precedes its links, short ones first."""
    return os.path.islink(name), os.path.realpath(name) != name, len(name), name


def file_source(path: str) -> tuple[Source, Inode | None]:
    """Return a file and its inode, None where the system has none."""
    try:
        status = os.stat(path)
    except OSError:
        return Source(printable_name(path), Path(path)), None
    inode = (status.st_dev, status.st_ino) if status.st_ino else None
    source = Source(
        printable_name(path), Path(path), size=status.st_size, changed=status.st_mtime_ns
    )
    return source, inode


def sync(
    store: ImageStore,
    ingestor: Ingestor,
    sources: Sequence[Source],
    *,
    progress: Progress | None = None,
) -> SyncResult:
    """Bring a store up to date with files.

    A file of known path, size and modification time is not read; one of known content is read but
    not embedded.

    Args:
        store: is changed.
        ingestor: its model.
        sources: all files that the store should know.
        progress: called with (files done, files to do).
    """
    known = {name.name: name for name in store.names()}
    listed = [known[source.name] for source in sources if source.name in known]
    for name in _forget_curable(store, listed):
        del known[name]
    fresh = [source for source in sources if _has_changed(source, known.get(source.name))]
    done = len(sources) - len(fresh)
    embedded = reused = 0
    unread: dict[str, str] = {}
    for result in ingestor.run(fresh, store):
        done += 1
        embedded += result.new
        reused += bool(result.digest) and not result.new and not result.failure
        if not result.digest:
            unread[result.source.name] = result.failure
        if progress:
            progress(done, len(sources))
    if progress:
        progress(done, len(sources))
    forgotten = store.remove(_deleted(known, {source.name for source in sources}, unread))
    store.sweep()  # only now: the content of one file may have become that of another
    state = _state(store, sources, unread, embedded, reused, forgotten)
    new = {source.name for source in fresh}
    return replace(state, reused=reused + sum(name not in new for name in state.digests))


def _has_changed(source: Source, known: Name | None) -> bool:
    if known is None or not source.changed:
        return True
    return (known.size, known.changed) != (source.size, source.changed)


def _forget_curable(store: ImageStore, names: Sequence[Name]) -> list[str]:
    """Forget and return files that may be read now: the limit is higher, or the extra is here."""
    reasons = store.failures(sorted({name.digest for name in names}))
    curable = [name.name for name in names if is_curable(reasons.get(name.digest, ""))]
    store.remove(curable)
    return curable


def _deleted(known: Iterable[str], listed: set[str], unread: dict[str, str]) -> list[str]:
    """Return names whose files are gone from the disk.

    Checked after the ingest, so that a moved file keeps its content. A file that could not be read
    this time (no permission, a network share that failed) is not gone.
    """
    return [name for name in known if (name in unread or name not in listed) and _is_gone(name)]


def _is_gone(path: str) -> bool:
    """Check that a file certainly does not exist; a forbidden folder proves nothing.

    The images of an archive (``ARCHIVE/ID``) are there as long as the archive is.
    """
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return not any(os.path.isfile(parent) for parent in Path(path).parents)
    except OSError:
        return False
    return False


def _state(
    store: ImageStore,
    sources: Sequence[Source],
    unread: dict[str, str],
    embedded: int,
    reused: int,
    forgotten: int,
) -> SyncResult:
    stored = {name.name: name.digest for name in store.names()}
    # The record of a file that cannot be read now stays in the store, but is not used.
    digests = {
        source.name: stored[source.name]
        for source in sources
        if source.name in stored and source.name not in unread
    }
    unusable = store.failures(sorted(set(digests.values())))
    failures = {name: unusable[digest] for name, digest in digests.items() if digest in unusable}
    usable = {name: digest for name, digest in digests.items() if digest not in unusable}
    return SyncResult(usable, {**failures, **unread}, embedded, reused, forgotten)
