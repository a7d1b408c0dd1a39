"""Disk cache of prepared images: one numpy file per image, nothing pickled."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asl.matching.align.prepare import Prepared
from asl.matching.align.xfeat import LearnedFeatures
from asl.matching.values import Settings
from asl.storage import ReadError, atomic_binary, read_npz

_VERSION = 2


@dataclass(frozen=True)
class Cache:
    """Folder of prepared images.

    Attributes:
        folder: created when the first image is stored.
        settings: part of every key, so that other settings miss.
        collection: identifies the set of images, e.g. a store's hash, so that equal ids of another
            set miss.
    """

    folder: Path
    settings: Settings
    collection: str = ""

    def path(self, role: str, image_id: str) -> Path:
        """Path of an image of that role (``query`` or ``reference``)."""
        settings = f"{self.settings.size}|{self.settings.features}"
        key = f"{_VERSION}|{settings}|{self.collection}|{role}|{image_id}"
        digest = hashlib.sha256(key.encode()).hexdigest()
        return self.folder / digest[:2] / f"{digest[2:34]}.npz"

    def get(self, role: str, image_id: str) -> Prepared | None:
        """Read a prepared image; None where it is missing or damaged (it is then rewritten)."""
        try:
            stored = read_npz(
                self.path(role, image_id),
                remedy="delete it",
                names=("frames", "descriptors", "image", "learned_points", "learned_descriptors"),
            )
        except ReadError:
            return None
        frames = stored["frames"]
        descriptors = stored["descriptors"]
        image = stored["image"]
        learned = LearnedFeatures(
            stored["learned_points"], stored["learned_descriptors"].astype(np.float32)
        )
        if (
            frames.shape != (len(descriptors), 4)
            or descriptors.shape[1:] != (128,)
            or image.ndim != 3
            or learned.points.shape != (len(learned.descriptors), 2)
            or learned.descriptors.shape[1:] != (64,)
        ):
            return None
        points = np.ascontiguousarray(frames[:, :2])
        return Prepared(image, points, frames[:, 2], frames[:, 3], descriptors, learned)

    def put(self, role: str, image_id: str, prepared: Prepared) -> None:
        """Store a prepared image, atomically."""
        frames = np.column_stack([prepared.points, prepared.scales, prepared.angles]).astype(
            np.float32
        )
        with atomic_binary(self.path(role, image_id), durable=False) as file:
            np.savez(
                file,
                frames=frames,
                descriptors=prepared.descriptors,
                image=prepared.image,
                learned_points=prepared.learned.points,
                learned_descriptors=prepared.learned.descriptors.astype(np.float16),
            )
