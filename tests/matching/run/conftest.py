"""A loader of textured pictures."""

from __future__ import annotations

import numpy as np

from asl.types import AslError
from tests.matching.conftest import Image, textured


class Images:
    """Loads textured pictures by their number; picklable."""

    def __call__(self, name: str) -> Image:
        if name == "broken":
            raise AslError("no image data")
        image = textured(int(name.rsplit("-", 1)[-1]))
        return np.ascontiguousarray(image[20:150, 30:200]) if name.startswith("crop") else image
