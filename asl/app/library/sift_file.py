"""SIFT features of thumbnails in a store: packed, and read again, also in other processes.

They are detected once for a scan: their votes select candidates, and the comparison of the pairs
aligns by the same features.
"""

from __future__ import annotations

import numpy as np

from asl.app.library.store_file import StoreFile
from asl.matching.align.sift import DESCRIPTOR_LENGTH, SiftFeatures
from asl.matching.candidates.feature_values import LocalFeatures
from asl.matching.values import Settings

FEATURE_BYTES = DESCRIPTOR_LENGTH + 4 * 4  # descriptor; x, y, scale, angle
_EARLIER_BYTES = DESCRIPTOR_LENGTH + 2 * 4
_SELECT = "SELECT digest, regions, features, crc FROM parts WHERE digest = ? AND regions = ?"


def sift_key(settings: Settings) -> str:
    """Name the features of these settings in a store."""
    return f"sift-{settings.size}-{settings.features}"


def earlier_key(settings: Settings) -> str:
    """Name the same features without positions, as the first stores have them."""
    return f"local-{settings.size}-{settings.features}"


def unpack_earlier(blob: bytes) -> LocalFeatures:
    """Unpack features without positions: scales, angles, descriptors."""
    count = len(blob) // _EARLIER_BYTES
    frames = np.frombuffer(blob, "<f4", 2 * count).astype(np.float32, copy=False)
    descriptors = np.frombuffer(blob, np.uint8, DESCRIPTOR_LENGTH * count, 8 * count)
    shaped = descriptors.reshape(count, DESCRIPTOR_LENGTH)
    return LocalFeatures(frames[:count], frames[count:], shaped)


def pack_sift(features: SiftFeatures) -> bytes:
    """Pack the features of one image; :func:`unpack_sift` is the inverse."""
    frames = np.concatenate([features.points.ravel(), features.scales, features.angles])
    return frames.astype("<f4").tobytes() + features.descriptors.tobytes()


def unpack_sift(blob: bytes) -> SiftFeatures:
    """Unpack the features of one image; none from empty bytes."""
    count = len(blob) // FEATURE_BYTES
    frames = np.frombuffer(blob, "<f4", 4 * count).astype(np.float32, copy=False)
    descriptors = np.frombuffer(blob, np.uint8, DESCRIPTOR_LENGTH * count, 16 * count)
    return SiftFeatures(
        points=frames[: 2 * count].reshape(count, 2),
        scales=frames[2 * count : 3 * count],
        angles=frames[3 * count :],
        descriptors=descriptors.reshape(count, DESCRIPTOR_LENGTH),
    )


def voting_features(features: SiftFeatures) -> LocalFeatures:
    """Return the features as they vote, without positions."""
    return LocalFeatures(features.scales, features.angles, features.descriptors)


class SiftFile(StoreFile):
    """Digest -> SIFT features of the thumbnail, read-only."""

    def __call__(self, digest: str, settings: Settings) -> SiftFeatures | None:
        """Return the features of a content; None where the store has none of these settings.

        Raises:
            AslError: the store is damaged.
        """
        for _, _, blob in self.rows(_SELECT, (digest, sift_key(settings))):
            return unpack_sift(blob)
        return None

    def voting(self, digest: str, settings: Settings) -> LocalFeatures:
        """Return the features of a content as they vote; none where the store has none."""
        stored = self(digest, settings)
        if stored is not None:
            return voting_features(stored)
        for _, _, blob in self.rows(_SELECT, (digest, earlier_key(settings))):
            return unpack_earlier(blob)
        return unpack_earlier(b"")
