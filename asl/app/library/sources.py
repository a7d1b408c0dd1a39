"""Turn folders, archives, patterns and images in any form into sources."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from asl.app.library.image_forms import ImageInput, encoded, is_image, is_path
from asl.app.library.records import Source
from asl.counts import counted
from asl.data.catalog import FileCatalog, open_catalog
from asl.storage import absent, printable_name
from asl.types import AslError, UsageError, as_ids

_GLOB = frozenset("*?[")


def read_sources(
    images: ImageInput | Iterable[ImageInput], names: str | Sequence[str] | None
) -> tuple[Iterator[Source], int]:
    """List images in any of the accepted forms; see :meth:`asl.app.detector.CopyDetector.add`.

    Returns:
        The sources, and their number.

    Raises:
        UsageError: names are missing or duplicate, or there is no such file.
    """
    given = [names] if isinstance(names, str) else None if names is None else list(names)
    if isinstance(images, str | os.PathLike) and given is None:
        return _read_path(Path(images).expanduser())
    listed: list[Any] = [images] if is_image(images) else list(_iterable(images))
    if given is None:
        if not all(is_path(image) for image in listed):
            raise UsageError(
                "images: bytes, streams, arrays and Pillow images have no name of their own; "
                "they need names=, one per image"
            )
        return _read_files([Path(image).expanduser() for image in listed])
    if len(given) != len(listed):
        raise UsageError(
            f"images: {counted(len(listed), 'image')} and {counted(len(given), 'name')}; give one "
            "name per image"
        )
    try:
        as_ids(given, name="names")
    except AslError as error:
        raise UsageError(f"images: {error}") from error
    pairs = zip(listed, given, strict=True)
    return (named_source(image, name) for image, name in pairs), len(listed)


def _iterable(images: Any) -> Iterable[Any]:
    if not isinstance(images, Iterable):
        raise UsageError(f"images: expected one image or several, got {type(images).__name__}")
    return images


def read_queries(
    images: ImageInput | Iterable[ImageInput], names: str | Sequence[str] | None
) -> tuple[Iterator[Source], int]:
    """List images as :func:`read_sources`; those that are no files are named by their place.

    Raises:
        UsageError: names do not fit, or there is no such file.
    """
    if names is not None or is_path(images):
        return read_sources(images, names)
    listed: list[Any] = [images] if is_image(images) else list(_iterable(images))
    if not all(is_path(image) for image in listed):
        names = [str(image) if is_path(image) else str(place) for place, image in enumerate(listed)]
    return read_sources(listed, names)


def _read_files(files: Sequence[Path]) -> tuple[Iterator[Source], int]:
    return (_file_source(file, printable_name(file.name)) for file in files), len(files)


def _read_path(path: Path, role: str = "images") -> tuple[Iterator[Source], int]:
    if not path.exists():
        found = sorted(glob.glob(str(path), recursive=True)) if _GLOB & set(str(path)) else []
        if not found:
            raise UsageError(
                f"{role}: {absent(path)}; check the path of this folder, image, list or archive"
            )
        return _read_files([Path(name) for name in found if not os.path.isdir(name)])
    catalog = open_catalog(path)
    if isinstance(catalog, FileCatalog):
        files = zip(catalog.ids, catalog.paths, strict=True)
        return (_file_source(Path(file), str(name)) for name, file in files), len(catalog)
    archive = printable_name(os.path.abspath(path))
    return (
        Source(str(name), catalog.read(row), path=f"{archive}/{name}")
        for row, name in enumerate(catalog.ids)
    ), len(catalog)


def named_source(image: ImageInput, name: str) -> Source:
    """Return an image under a name."""
    if isinstance(image, str | os.PathLike):
        return _file_source(Path(image).expanduser(), name)
    return Source(name, encoded(image))


def _file_source(path: Path, name: str) -> Source:
    absolute = printable_name(os.path.abspath(path))
    try:
        status = path.stat()
    except OSError:
        return Source(name, path, path=absolute)  # reading it will say why it cannot be read
    return Source(name, path, size=status.st_size, changed=status.st_mtime_ns, path=absolute)


def by_content(images: str | Path, *, role: str = "images") -> tuple[Iterator[Source], int]:
    """List the images of a folder named by their content, as the service names uploads.

    Args:
        images: folder, image, list or archive.
        role: name of the argument, for errors.

    Returns:
        One source per content, labelled by its path inside the folder, and the number of files: as
        many or more.

    Raises:
        UsageError: there is no such path.
    """
    sources, total = _read_path(Path(images).expanduser(), role)

    def by_digest() -> Iterator[Source]:
        seen: set[str] = set()
        for source in sources:
            try:
                data = source.read()
            except (OSError, AslError):
                yield Source(source.name, source.data)
                continue
            name = content_id(data)
            if name not in seen:
                seen.add(name)
                yield Source(name, data, label=source.name, from_file=True)

    return by_digest(), total


def content_id(data: bytes) -> str:
    """First 32 hexadecimal digits of the SHA-256 of a content."""
    return hashlib.sha256(data).hexdigest()[:32]
