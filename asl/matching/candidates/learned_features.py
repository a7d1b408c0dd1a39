"""Learned features that vote for candidates: of a reference's two readings, of a query's four.

Learned features (:mod:`asl.matching.align.xfeat`) outlive blur, night, halftones and chains of
edits that leave no SIFT feature in common. They have neither scale nor rotation, so their votes are
counted without geometry, and pictures are read at several sizes: a reference also at half its size
without its fine detail, as a copy shows it that was a thumbnail; a query also at twice its size, as
the original shows it that was reduced and pasted elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from asl.matching.align.prepare import Prepared, working_image
from asl.matching.align.xfeat import DESCRIPTOR_LENGTH, detect_xfeat
from asl.matching.candidates.feature_values import LocalFeatures
from asl.matching.run.disk_cache import Cache
from asl.matching.run.workers import LoadImage
from asl.matching.values import Image, Settings
from asl.types import F32, U8, AslError

_STEPS = 220.0  # of one byte from 0 to 1; the largest component seen is .56
_FEATURES = 256  # of an image at working size: twice as many find no more
_COARSE_FEATURES = 128  # of a reference at half its size
_ENLARGED = 2.0  # factor by which a query grows in one of its readings


def reference_features(image: Prepared) -> LocalFeatures:
    """Describe a reference as it is, and at half its size without detail: at most 384 features."""
    coarse = _resized(_resized(image.image, 0.25, cv2.INTER_AREA), 2.0, cv2.INTER_CUBIC)
    found = detect_xfeat(coarse)
    return _features(
        np.concatenate(
            [image.learned.descriptors[:_FEATURES], found.descriptors[:_COARSE_FEATURES]]
        )
    )


def query_readings(image: Prepared) -> list[LocalFeatures]:
    """Read a query as it is, mirrored, blurred, and enlarged: at most 256 features each."""
    enlarged = detect_xfeat(_resized(image.image, _ENLARGED, cv2.INTER_CUBIC))
    found = [image.learned, image.mirror.learned, image.softened, enlarged]
    return [_features(features.descriptors[:_FEATURES]) for features in found]


def _resized(image: Image, factor: float, method: int) -> Image:
    """Resize by a factor, to one pixel a side at least."""
    size = [max(1, round(side * factor)) for side in image.shape[1::-1]]
    return np.asarray(cv2.resize(image, size, interpolation=method), dtype=np.uint8)


def _features(descriptors: F32) -> LocalFeatures:
    """Store unit rows as int8 ``[K, 64]``, of one scale and rotation."""
    count = len(descriptors)
    return LocalFeatures(
        np.ones(count, dtype=np.float32),
        np.zeros(count, dtype=np.float32),
        np.clip(np.rint(descriptors * _STEPS), -127, 127).astype(np.int8),
    )


@dataclass(frozen=True)
class LearnedReader:
    """Read the learned features of images.

    Attributes:
        load: name -> uint8 ``[H, W, 3]`` RGB; an ``AslError`` or ``OSError`` is recorded as a
            failure of that image.
        settings: working size.
        is_query: read a query's readings; else one set of a reference.
        cache: prepared references on disk; None for no cache.
    """

    load: LoadImage
    settings: Settings = field(default_factory=Settings)
    is_query: bool = False
    cache: Cache | None = None

    def __call__(self, name: str) -> list[LocalFeatures] | str:
        """Read the features of one image; return the reason as a string on failure."""
        known = None if self.is_query or not self.cache else self.cache.get("reference", name)
        try:
            image = known or _without_sift(self.load(name), self.settings)
        except (AslError, OSError) as error:
            return str(error)
        return query_readings(image) if self.is_query else [reference_features(image)]


def _without_sift(image: U8, settings: Settings) -> Prepared:
    """Scale an image to working size, without its SIFT features, which nothing asks for here."""
    none = np.empty(0, dtype=np.float32)
    return Prepared(
        working_image(image, settings.size),
        np.empty((0, 2), dtype=np.float32),
        none,
        none,
        np.empty((0, 128), dtype=np.uint8),
    )


NO_LEARNED_FEATURES = _features(np.empty((0, DESCRIPTOR_LENGTH), dtype=np.float32))
