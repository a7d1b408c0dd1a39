"""Local features of an image, and the nearest indexed features of a query's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from asl.types import F32, I64, AslError

Descriptors = npt.NDArray[Any]  # uint8 or int8 [K, D]
NEIGHBOURS = 6  # of each feature; the distance of the last one normalises the others


@dataclass(frozen=True, eq=False)
class LocalFeatures:
    """Local features of one image, without positions.

    Attributes:
        scales: float32 ``[K]`` diameter in pixels.
        angles: float32 ``[K]`` degrees.
        descriptors: uint8 ``[K, D]``, e.g. RootSIFT with D = 128 (:mod:`asl.matching.align.sift`);
            int8 of features whose components have signs.

    Raises:
        AslError: the three do not have these shapes.
    """

    scales: F32
    angles: F32
    descriptors: Descriptors

    def __post_init__(self) -> None:
        count = len(self.descriptors)
        if (
            self.descriptors.ndim != 2
            or self.scales.shape != (count,)
            or self.angles.shape != (count,)
        ):
            raise AslError(
                "local features: expected descriptors [K, D], scales [K] and angles [K], got "
                f"{self.descriptors.shape}, {self.scales.shape} and {self.angles.shape}"
            )

    def __len__(self) -> int:
        return len(self.descriptors)

    def largest(self, count: int) -> LocalFeatures:
        """Return the ``count`` features of largest diameter, in their order."""
        if len(self) <= count:
            return self
        rows = np.sort(np.argsort(-self.scales, kind="stable")[:count])
        return LocalFeatures(self.scales[rows], self.angles[rows], self.descriptors[rows])


class Neighbours(NamedTuple):
    """The k nearest indexed features of M query features, nearest first.

    Attributes:
        distances: float32 ``[M, k]`` squared distances; infinite where there are fewer than k.
        images: int64 ``[M, k]`` their images.
        angles: float32 ``[M, k]`` degrees.
        scales: float32 ``[M, k]`` diameter in pixels.
    """

    distances: F32
    images: I64
    angles: F32
    scales: F32

    def of(self, features: slice) -> Neighbours:
        """Return the neighbours of some of the features."""
        return Neighbours(
            self.distances[features],
            self.images[features],
            self.angles[features],
            self.scales[features],
        )
