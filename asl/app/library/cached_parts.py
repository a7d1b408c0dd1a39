"""Parts of pictures in the user's cache: facts and thumbnail, features, features of regions."""

from __future__ import annotations

import struct
from dataclasses import dataclass, fields

import cv2
import numpy as np
import PIL

from asl.app.library.content_cache import PICTURE, ContentCache
from asl.app.library.facts import Facts
from asl.app.library.picture_parts import THUMBNAIL_QUALITY
from asl.app.library.records import Record
from asl.types import F32
from asl.version import __version__

_HEAD = struct.Struct("<I")


def pixel_versions() -> str:
    """Return the versions of the packages that make thumbnails from files."""
    return f"asl {__version__} pillow {PIL.__version__} opencv {cv2.__version__}"


@dataclass(frozen=True)
class CachedParts:
    """Records of contents in the cache, for one model and its settings.

    Attributes:
        cache: of the user.
        max_pixels: pictures with more are decoded at a reduced size, and not cached.
        picture: key of facts and thumbnails.
        feature: key of features of whole images.
        region: key of features of regions; empty for none.
        dim: D.
    """

    cache: ContentCache
    max_pixels: int
    picture: str
    feature: str
    region: str
    dim: int

    @classmethod
    def of(
        cls,
        cache: ContentCache,
        *,
        model: str,
        runner: str,
        regions: str,
        dim: int,
        thumbnail_side: int,
        max_pixels: int,
    ) -> CachedParts:
        """Make the keys.

        Args:
            cache: of the user.
            model: hash of weights and preprocessing.
            runner: name of what embeds.
            regions: key of the set of regions; empty for none.
            dim: D.
            thumbnail_side: longest side of a thumbnail.
            max_pixels: of the decoder.
        """
        measured = " ".join(field.name for field in fields(Facts))
        made = f"{thumbnail_side} {THUMBNAIL_QUALITY} {pixel_versions()} {measured}"
        picture = f"{PICTURE} {made}"
        feature = f"feature {model} {runner} {pixel_versions()}"
        region = f"{regions} of {picture} {feature}" if regions else ""
        return cls(cache, max_pixels, picture, feature, region, dim)

    def get(self, digest: str) -> Record | None:
        """Return the record of a content with its features; None where a part is missing.

        The features of regions are None where they alone are missing.
        """
        picture = self.cache.get(self.picture, [digest]).get(digest, b"")
        feature = self._features(self.feature, digest)
        if len(picture) < _HEAD.size or feature is None or feature.shape != (1, self.dim):
            return None
        (length,) = _HEAD.unpack_from(picture)
        try:
            facts = Facts.from_json(picture[_HEAD.size : _HEAD.size + length].decode())
        except (ValueError, TypeError):  # of another version of this class
            return None
        if facts.pixels > self.max_pixels:
            return None
        regions = self._features(self.region, digest) if self.region else None
        thumbnail = picture[_HEAD.size + length :]
        return Record(digest, facts, feature[0], thumbnail, regions=regions)

    def _features(self, kind: str, digest: str) -> F32 | None:
        blob = self.cache.get(kind, [digest]).get(digest)
        if not blob or len(blob) % (4 * self.dim):
            return None
        return np.frombuffer(blob, dtype=np.float32).reshape(-1, self.dim)

    def put(self, records: list[Record]) -> None:
        """Add usable pictures that were decoded at their full size."""
        whole = [
            record
            for record in records
            if record.feature is not None and record.facts.pixels <= self.max_pixels
        ]
        self.cache.put(self.picture, [(record.digest, _packed(record)) for record in whole])
        self._put_features(self.feature, [(record.digest, record.feature) for record in whole])
        if self.region:
            self._put_features(self.region, [(record.digest, record.regions) for record in whole])

    def _put_features(self, kind: str, features: list[tuple[str, F32 | None]]) -> None:
        self.cache.put(
            kind, [(digest, _blob(feature)) for digest, feature in features if feature is not None]
        )


def _packed(record: Record) -> bytes:
    facts = record.facts.to_json().encode()
    return _HEAD.pack(len(facts)) + facts + record.thumbnail


def _blob(features: F32) -> bytes:
    return np.ascontiguousarray(features, np.float32).tobytes()
