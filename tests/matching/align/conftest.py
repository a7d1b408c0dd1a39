"""Maps between prepared versions of images."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from asl.matching.align.plane_geometry import inverse
from asl.matching.align.prepare import prepare
from asl.matching.values import Settings
from tests.matching.conftest import Image

SETTINGS = Settings()


TURN = np.array([[0.0, -1, 179], [1, 0, 0], [0, 0, 1]])


def at_working_size(
    matrix: npt.NDArray[np.float64], query: Image, reference: Image
) -> npt.NDArray[np.float64]:
    """Convert a map between two images to one between their prepared versions (pixel centres)."""
    sides = []
    for image in (query, reference):
        shape = prepare(image, SETTINGS).shape
        x, y = shape[1] / image.shape[1], shape[0] / image.shape[0]
        sides.append(np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]]))
    return np.asarray(sides[0] @ matrix @ inverse(sides[1]))
