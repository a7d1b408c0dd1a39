"""Local features in the user's cache, by the thumbnail that they were extracted from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from asl.app.library.cached_parts import pixel_versions
from asl.app.library.content_cache import ContentCache, open_cache
from asl.app.library.image_store import ImageStore

_CONTENTS_AT_ONCE = 256  # thumbnails in memory


class CachedLocalFeatures:
    """Copy local features from the cache to a store, and new ones back."""

    def __init__(self, key: str) -> None:
        """Open the user's cache.

        Args:
            key: of the extractor and its settings, as in the store.
        """
        self._cache: ContentCache | None = open_cache()
        self._key, self._kind = key, f"{key} {pixel_versions()}"
        self._thumbnails: dict[str, str] = {}  # content -> SHA-256 of its thumbnail

    def copy_to(self, store: ImageStore, digests: Sequence[str]) -> list[str]:
        """Copy what the cache has of some contents; return the other contents, in order."""
        if self._cache is None:
            return list(digests)
        left: list[str] = []
        for start in range(0, len(digests), _CONTENTS_AT_ONCE):
            batch = digests[start : start + _CONTENTS_AT_ONCE]
            named = {
                digest: hashlib.sha256(store.thumbnail(digest)).hexdigest() for digest in batch
            }
            found = self._cache.get(self._kind, list(named.values()))
            known = [(digest, found[name]) for digest, name in named.items() if name in found]
            store.put_local_features(self._key, known)
            lacking = [digest for digest in batch if named[digest] not in found]
            self._thumbnails.update({digest: named[digest] for digest in lacking})
            left += lacking
        return left

    def put(self, features: Sequence[tuple[str, bytes]]) -> None:
        """Add extracted features of contents that :meth:`copy_to` returned."""
        if self._cache is not None:
            named = [(self._thumbnails[digest], blob) for digest, blob in features if blob]
            self._cache.put(self._kind, named)

    def tidy(self) -> None:
        """Keep the cache to its limits."""
        if self._cache is not None:
            self._cache.tidy()
