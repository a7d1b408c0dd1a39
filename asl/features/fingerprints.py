"""How a store knows that an image is still the one that it embedded, whatever folder it lies in now.

A stamp is ``glance:content``, 12 and 16 hexadecimal digits. The glance is a hash of the size and
the time of change, which cost no reading and survive a move of the folder. Only where they differ
(a copy, an archive that grew) the image
is read and the hash of its bytes decides: what is the same is not embedded again, and nothing else
passes for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from asl.data.catalog import Catalog
from asl.features.feature_store import FeatureStore
from asl.types import AslError


def glance(catalog: Catalog, row: int) -> str:
    """What an image looks like without reading it; "" where it is not there, or where its catalog cannot tell."""
    tell = getattr(catalog, "stamp", None)
    try:
        text = tell(row) if tell else ""
    except OSError:
        return ""
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest() if text else ""


def content(data: bytes) -> str:
    """A hash of the encoded bytes of an image."""
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def fingerprint(catalog: Catalog, ids: Iterable[str]) -> str:
    """What changes when one of the images changes, or which ones they are; ids without an image count, too."""
    rows = {name: row for row, name in enumerate(catalog.ids.tolist())}
    digest = hashlib.sha256()
    for name in ids:
        digest.update(f"{name}\n{glance(catalog, rows[name]) if name in rows else ''}\n".encode())
    return digest.hexdigest()


class Outdated:
    """Finds what stores lack of a catalog; each image is looked at once for all of them."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._glances: dict[int, str] = {}
        self._contents: dict[int, str] = {}

    def of(self, store: FeatureStore) -> dict[str, bool]:
        """Ids of the images to embed: not in the store at all (False), or changed since they got there (True).

        What has no stamp (stores of earlier versions) is taken for the same.
        """
        stamps, found = store.stamps(), {}
        for row, name in enumerate(self._catalog.ids.tolist()):
            if name not in stamps:
                found[name] = False
            elif (stamp := stamps[name]) is not None and self._changed(row, stamp):
                found[name] = True
        return found

    def _changed(self, row: int, stamp: str) -> bool:
        seen, _, held = stamp.partition(":")
        if row not in self._glances:
            self._glances[row] = glance(self._catalog, row)
        if self._glances[row] == seen:
            return False
        if row not in self._contents:
            try:
                self._contents[row] = content(self._catalog.read(row))
            except (OSError, AslError):
                self._contents[row] = ""
        return self._contents[row] != held
