"""Detect images that have changed since a store embedded them, also after their folder was moved.

A stamp is ``glance:content``, 12 and 16 hexadecimal digits. The glance is a hash of size and
modification time, which needs no reading and survives a move of the folder. Where it differs (a
copy, an archive that grew) the image is read and the hash of its bytes decides: equal content is
not embedded again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from asl.data.catalog import Catalog
from asl.features.feature_store import FeatureStore
from asl.types import AslError


def glance(catalog: Catalog, row: int) -> str:
    """Hash the stamp of an image in its catalog; "" where it is missing or has none."""
    try:
        text = catalog.stamp(row)
    except OSError:
        return ""
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest() if text else ""


def content(data: bytes) -> str:
    """Hash the encoded bytes of an image: 16 hexadecimal digits."""
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def fingerprint(catalog: Catalog, ids: Iterable[str]) -> str:
    """Hash the ids and glances of images: it changes when one image, or the list, changes.

    Args:
        catalog: of the images.
        ids: in an order that counts; ids without an image count, too.
    """
    names = list(ids)
    digest = hashlib.sha256()
    for name, seen in zip(names, glances(catalog, names), strict=True):
        digest.update(f"{name}\n{seen}\n".encode())
    return digest.hexdigest()


def glances(catalog: Catalog, ids: Iterable[str]) -> list[str]:
    """Return the glance of each image; "" for ids without an image."""
    rows = {name: row for row, name in enumerate(catalog.ids.tolist())}
    return [glance(catalog, rows[name]) if name in rows else "" for name in ids]


class Outdated:
    """Find the images that stores lack; each image is examined once for all stores."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._glances: dict[int, str] = {}
        self._contents: dict[int, str] = {}

    def of(self, store: FeatureStore) -> dict[str, bool]:
        """Return the images to embed: id -> whether the store holds an outdated feature of it.

        Images without a stamp (in stores of earlier versions) count as unchanged.
        """
        stamps = store.stamps()
        outdated: dict[str, bool] = {}
        for row, name in enumerate(self._catalog.ids.tolist()):
            if name not in stamps:
                outdated[name] = False
            elif (stamp := stamps[name]) is not None and self.has_changed(row, stamp):
                outdated[name] = True
        return outdated

    def has_changed(self, row: int, stamp: str) -> bool:
        """Compare an image of the catalog with its stamp; it is read only where that is needed."""
        old_glance, _, old_content = stamp.partition(":")
        if row not in self._glances:
            self._glances[row] = glance(self._catalog, row)
        if self._glances[row] == old_glance:
            return False
        if row not in self._contents:
            try:
                self._contents[row] = content(self._catalog.read(row))
            except (OSError, AslError):
                self._contents[row] = ""
        return self._contents[row] != old_content
