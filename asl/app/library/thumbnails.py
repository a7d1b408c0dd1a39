"""Read thumbnails of a store on disk, also from other processes."""

from __future__ import annotations

from asl.app.library.store_file import StoreFile
from asl.types import AslError

_SELECT = "SELECT digest, picture, picture_crc FROM images WHERE digest = ?"


class ThumbnailFile(StoreFile):
    """Digest -> thumbnail (JPEG bytes), read-only."""

    def __call__(self, digest: str) -> bytes:
        """Return the thumbnail of a content.

        Raises:
            AslError: the store has none, or is damaged.
        """
        for _, picture in self.rows(_SELECT, (digest,)):
            if picture:
                return bytes(picture)
        raise AslError(f"{self.path}: has no thumbnail of content {digest[:16]}")
