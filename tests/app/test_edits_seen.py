from __future__ import annotations

import cv2
import numpy as np

from asl import CopyDetector
from asl.models import Embedder
from tests.app.conftest import textured


def test_edits_are_named(embedder: Embedder) -> None:
    image = textured(0)
    grey = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    framed = cv2.copyMakeBorder(image, 60, 60, 80, 80, cv2.BORDER_CONSTANT, value=(20, 20, 90))
    detector = CopyDetector(embedder)
    detector.add(image, names="original")
    for edited, words in (
        (image[:, ::-1], "mirrored"),
        (np.rot90(image), "turned by 90°"),
        (grey, "made grey"),
        (framed, "framed or padded"),
        (np.clip(image.astype(int) * 0.6, 0, 255).astype(np.uint8), "tones or colours changed"),
        (cv2.resize(image, (200, 150)), "re-encoded or resized"),
    ):
        (match,) = detector.query(np.ascontiguousarray(edited))
        assert words in match.edits, (words, match)
