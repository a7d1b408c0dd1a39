"""Turn folders, files, bytes, arrays and Pillow images into sources."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from asl.app.library.records import Source
from asl.data.catalog import FileCatalog, open_catalog
from asl.data.images import Pixels, read_file
from asl.storage import printable_name
from asl.types import AslError, UsageError, as_ids

ImageInput = str | Path | bytes | Pixels | Image.Image


def read_sources(
    images: ImageInput | Sequence[ImageInput], names: str | Sequence[str] | None
) -> tuple[Iterator[Source], int]:
    """List images in any of the accepted forms; see :meth:`asl.app.detector.CopyDetector.add`.

    Returns:
        The sources, and their number.

    Raises:
        UsageError: names are missing or duplicate, or there is no such file.
    """
    given = [names] if isinstance(names, str) else None if names is None else list(names)
    if isinstance(images, str | os.PathLike) and given is None:
        return _read_path(Path(images))
    listed: list[Any] = list(images) if isinstance(images, list | tuple) else [images]
    if given is None:
        if not all(isinstance(image, str | os.PathLike) for image in listed):
            raise UsageError(
                "add: bytes, arrays and Pillow images have no name of their own; "
                "they need names=, one per image"
            )
        files = [Path(image) for image in listed]
        return (_file_source(file, printable_name(file.name)) for file in files), len(files)
    if len(given) != len(listed):
        raise UsageError(
            f"add: {len(listed)} image(s) and {len(given)} name(s); give one name per image"
        )
    try:
        as_ids(given, name="names")
    except AslError as error:
        raise UsageError(f"add: {error}") from error
    pairs = zip(listed, given, strict=True)
    return (_named_source(image, name) for image, name in pairs), len(listed)


def _read_path(path: Path) -> tuple[Iterator[Source], int]:
    if not path.exists():
        raise UsageError(f"add: there is no {path}")
    catalog = open_catalog(path)
    if isinstance(catalog, FileCatalog):
        files = zip(catalog.ids, catalog.paths, strict=True)
        return (_file_source(Path(file), str(name)) for name, file in files), len(catalog)
    archive = printable_name(os.path.abspath(path))
    return (
        Source(str(name), catalog.read(row), path=f"{archive}/{name}")
        for row, name in enumerate(catalog.ids)
    ), len(catalog)


def _named_source(image: Any, name: str) -> Source:
    if isinstance(image, str | os.PathLike):
        return _file_source(Path(image), name)
    return Source(name, encoded(image))


def _file_source(path: Path, name: str) -> Source:
    absolute = printable_name(os.path.abspath(path))
    try:
        status = path.stat()
    except OSError:
        return Source(name, path, path=absolute)  # reading it will say why it cannot be read
    return Source(name, path, size=status.st_size, changed=status.st_mtime_ns, path=absolute)


def names_of_file(source: Source) -> Iterator[str]:
    """Names for a source, from its own through ever longer parts of its path to numbered ones.

    >>> from itertools import islice
    >>> source = Source("1.jpg", b"", path="/photos/2020/1.jpg")
    >>> list(islice(names_of_file(source), 4))
    ['1.jpg', '2020/1.jpg', 'photos/2020/1.jpg', 'photos/2020/1.jpg (2)']
    """
    yield source.name
    longest = source.name
    folders = [part for part in Path(source.path).parts if part != os.sep]
    for start in range(len(folders) - 1, -1, -1):
        name = "/".join(folders[start:])
        if len(name) > len(source.name):
            longest = name
            yield name
    for number in count(2):
        yield f"{longest} ({number})"


def same_content(source: Source, digest: str) -> bool:
    """Check that the bytes of a source have a SHA-256; an unreadable file has none."""
    try:
        data = source.data if isinstance(source.data, bytes) else read_file(source.data)
    except (OSError, AslError):
        return False
    return hashlib.sha256(data).hexdigest() == digest


def encoded(image: ImageInput) -> bytes:
    """Return the encoded bytes of an image; bare pixels are encoded as PNG.

    Raises:
        UsageError: the file cannot be read, or the array is no uint8 ``[H, W, 3]``.
    """
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    if isinstance(image, str | os.PathLike):
        try:
            return read_file(Path(image))
        except OSError as error:
            raise UsageError(f"{image}: cannot be read ({error.strerror})") from error
    if isinstance(image, Image.Image):
        return _png(image if image.mode in ("RGB", "RGBA", "L") else image.convert("RGB"))
    return _png(Image.fromarray(checked_pixels(image)))


def checked_pixels(image: npt.NDArray[Any]) -> Pixels:
    """Check for a uint8 ``[H, W, 3]`` array.

    Raises:
        UsageError: it is another array; the message says which.
    """
    array = np.asarray(image)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise UsageError(f"image: expected uint8 [H, W, 3] RGB, got {array.dtype} {array.shape}")
    return np.ascontiguousarray(array)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def by_content(images: str | Path) -> tuple[Iterator[Source], int]:
    """List the images of a folder named by their content, as the service names uploads.

    Returns:
        One source per content, labelled by its path inside the folder, and the number of files: as
        many or more.
    """
    sources, total = read_sources(images, None)

    def by_digest() -> Iterator[Source]:
        seen: set[str] = set()
        for source in sources:
            try:
                data = source.data if isinstance(source.data, bytes) else read_file(source.data)
            except (OSError, AslError):
                yield Source(source.name, source.data)
                continue
            name = content_id(data)
            if name not in seen:
                seen.add(name)
                yield Source(name, data, label=source.name)

    return by_digest(), total


def content_id(data: bytes) -> str:
    """First 32 hexadecimal digits of the SHA-256 of a content."""
    return hashlib.sha256(data).hexdigest()[:32]
