"""Values of local features: shapes, and the largest features of an image."""

from __future__ import annotations

import numpy as np
import pytest

from asl.matching.candidates.feature_values import LocalFeatures
from asl.types import AslError


def test_wrong_shapes_are_named() -> None:
    three, two = np.ones(3, np.float32), np.ones((2, 128), np.uint8)
    for scales, angles, descriptors in (
        (three, three[:2], two),
        (three[:2], three, two),
        (three[:2], three[:2], two[0]),
    ):
        with pytest.raises(AslError, match=r"expected descriptors \[K, D\], scales \[K\]"):
            LocalFeatures(scales, angles, descriptors)


def test_the_largest_features_stay_in_order() -> None:
    scales = np.array([3, 9, 1, 9, 5], np.float32)
    image = LocalFeatures(scales, 10 * scales, np.arange(5, dtype=np.uint8).reshape(5, 1))
    assert image.largest(9) is image
    some = image.largest(3)
    assert some.descriptors[:, 0].tolist() == [1, 3, 4]
    assert (some.scales.tolist(), some.angles.tolist()) == ([9, 9, 5], [90, 90, 50])
    assert image.largest(1).descriptors[:, 0].tolist() == [1], "ties: the first one"
