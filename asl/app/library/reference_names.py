"""Names of references: files of the same name in different folders stay different references."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path

from asl.app.library.records import Name, Source
from asl.types import AslError


def with_free_names(sources: Iterable[Source], known: Mapping[str, Name]) -> Iterator[Source]:
    """Rename sources whose name belongs to another file already; a file that comes twice is one.

    Args:
        sources: files or images.
        known: the references by name.
    """
    used: set[str] = set()
    paths: set[str] = set()
    for source in sources:
        if source.path in paths:
            continue
        if source.path:
            paths.add(source.path)
        name = next(
            name
            for name in _names_of(source)
            if name not in used and _may_have(source, known.get(name))
        )
        used.add(name)
        yield source if name == source.name else replace(source, name=name)


def _may_have(source: Source, known: Name | None) -> bool:
    """Check that a name is free, belongs to this very file, or to one of the same content."""
    if known is None or (known.path and known.path == source.path):
        return True
    try:
        data = source.read()
    except (OSError, AslError):
        return False
    return hashlib.sha256(data).hexdigest() == known.digest


def _names_of(source: Source) -> Iterator[str]:
    """Names for a source, from its own through ever longer parts of its path to numbered ones.

    >>> from itertools import islice
    >>> source = Source("1.jpg", b"", path="/photos/2020/1.jpg")
    >>> list(islice(_names_of(source), 4))
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
