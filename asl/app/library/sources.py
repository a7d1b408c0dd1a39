"""The forms in which people hand over images: folders, files, bytes, arrays, Pillow images."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from asl.app.library.ingest import Source
from asl.data.catalog import FileCatalog, open_catalog
from asl.data.images import Pixels, read_file
from asl.storage import printable_name
from asl.types import AslError, UsageError, as_ids

ImageInput = str | Path | bytes | Pixels | Image.Image


def read_sources(
    images: ImageInput | Sequence[ImageInput], names: str | Sequence[str] | None
) -> tuple[Iterator[Source], int]:
    """Images in any of the accepted forms as sources, and how many there are; see ``CopyDetector.add``."""
    given = [names] if isinstance(names, str) else None if names is None else list(names)
    if isinstance(images, str | os.PathLike) and given is None:
        if not Path(images).exists():
            raise UsageError(f"add: there is no {images}")
        catalog = open_catalog(images)
        if not isinstance(catalog, FileCatalog):
            reader = ((str(name), catalog.read(row)) for row, name in enumerate(catalog.ids))
            return (Source(name, data) for name, data in reader), len(catalog)
        return (
            _file(Path(path), str(name))
            for name, path in zip(catalog.ids, catalog.paths, strict=True)
        ), len(catalog)
    listed: list[Any] = list(images) if isinstance(images, list | tuple) else [images]
    if given is None:
        if not all(isinstance(image, str | os.PathLike) for image in listed):
            raise UsageError("add: bytes, arrays and Pillow images need names=, one per image")
        given = [printable_name(Path(image).name) for image in listed]
    if len(given) != len(listed):
        raise UsageError(f"add: {len(listed)} image(s) and {len(given)} name(s)")
    try:
        as_ids(given, name="names")
    except AslError as error:
        raise UsageError(f"add: {error}") from error
    return (_source(image, name) for image, name in zip(listed, given, strict=True)), len(listed)


def _source(image: Any, name: str) -> Source:
    return (
        _file(Path(image), name)
        if isinstance(image, str | os.PathLike)
        else Source(name, encoded(image))
    )


def _file(path: Path, name: str) -> Source:
    try:
        found = path.stat()
    except OSError:
        return Source(name, path)  # the intake says why it cannot be read
    return Source(name, path, size=found.st_size, changed=found.st_mtime_ns)


def encoded(image: ImageInput) -> bytes:
    """The encoded bytes of an image; pixels that come without a file are encoded without loss."""
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
    """A uint8 ``[H, W, 3]`` array, or an error that says what arrived."""
    array = np.asarray(image)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise UsageError(f"image: expected uint8 [H, W, 3] RGB, got {array.dtype} {array.shape}")
    return np.ascontiguousarray(array)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def by_content(images: str | Path) -> tuple[Iterator[Source], int]:
    """The images of a folder named by their content, as the service names uploads; labels are their file names.

    Returns:
        One source per content, and how many files there are: as many or more.
    """
    sources, total = read_sources(images, None)

    def named() -> Iterator[Source]:
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

    return named(), total


def content_id(data: bytes) -> str:
    """32 hexadecimal digits that name a content."""
    return hashlib.sha256(data).hexdigest()[:32]
