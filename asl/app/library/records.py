"""Rows of an image store: contents, names, and images on their way into it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from asl.app.library.facts import Facts
from asl.app.library.image_forms import Readable
from asl.data.images import read_file
from asl.types import F32


@dataclass(frozen=True, eq=False)
class Record:
    """One content.

    Attributes:
        digest: SHA-256 of the encoded file, hexadecimal.
        facts: of the file.
        feature: float32 ``[D]``, un-normalised; None if the file is no usable image.
        thumbnail: JPEG at the size at which pairs are compared.
        failure: why it is no usable image.
        regions: float32 ``[R, D]`` features of regions, un-normalised; None where none were
            embedded.
    """

    digest: str
    facts: Facts
    feature: F32 | None = None
    thumbnail: bytes = b""
    failure: str = ""
    regions: F32 | None = None


@dataclass(frozen=True, slots=True)
class Name:
    """A name and the content that it points at.

    Attributes:
        name: unique in a store.
        digest: of its content.
        label: for people, e.g. the file name that a client sent.
        size: of the file in bytes when it was read, 0 if there was no file.
        changed: modification time of the file in nanoseconds.
        path: absolute path of the file; empty if the image came without one, or if the name is the
            path.
    """

    name: str
    digest: str
    label: str = ""
    size: int = 0
    changed: int = 0
    path: str = ""


@dataclass(frozen=True)
class Source:
    """An image to add.

    Attributes:
        name: unique name.
        data: encoded bytes, the file that holds them, or something that reads them.
        label: for people.
        size: of the file in bytes.
        changed: modification time of the file in nanoseconds.
        path: absolute path of the file, or archive and member; empty for bytes.
        from_file: True for bytes that were read from a file of this machine.
    """

    name: str
    data: bytes | Path | Readable
    label: str = ""
    size: int = 0
    changed: int = 0
    path: str = ""
    from_file: bool = False

    @property
    def is_file(self) -> bool:
        """True for a file of this machine; what others sent stays out of the user's cache."""
        return self.from_file or not isinstance(self.data, bytes)

    def read(self) -> bytes:
        """Return the encoded bytes.

        Raises:
            OSError: they cannot be read.
            AslError: there are none, or too many.
        """
        if isinstance(self.data, bytes):
            return self.data
        return read_file(self.data) if isinstance(self.data, Path) else self.data.read()


@dataclass(frozen=True)
class IngestResult:
    """Outcome for one source.

    Attributes:
        source: the source.
        digest: of its content; empty if the bytes could not be read.
        failure: why it cannot be used; empty if it can.
        new: True if the content was embedded, False if the store or the user's cache had it.
    """

    source: Source
    digest: str = ""
    failure: str = ""
    new: bool = False
