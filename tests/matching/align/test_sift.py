"""SIFT: features of small and plain images, of the mirrored image and of the negative."""

from __future__ import annotations

import numpy as np
import pytest

from asl.matching.align.sift import (
    detect_sift,
    mirrored_angles,
    mirrored_descriptors,
    negative_angles,
    negative_descriptors,
)
from tests.matching.conftest import Image


def nearest_cosines(ours: np.ndarray, expected: np.ndarray) -> np.ndarray:
    units = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (ours, expected)]
    return np.asarray((units[0] @ units[1].T).max(axis=1))


def test_small_and_plain_images_have_no_features() -> None:
    for image in (np.zeros((15, 90, 3), np.uint8), np.full((90, 90, 3), 70, np.uint8)):
        features = detect_sift(image, 100)
        assert [len(array) for array in features] == [0, 0, 0, 0]
        assert features.descriptors.shape == (0, 128)
        assert features.points.shape == (0, 2)


def test_the_limit_holds(picture: Image) -> None:
    assert len(detect_sift(picture, 40).points) == 40
    assert len(detect_sift(picture, 500).points) > 40


@pytest.mark.parametrize("reading", ["mirror", "negative"])
def test_permuted_features_are_those_of_the_changed_image(picture: Image, reading: str) -> None:
    features = detect_sift(picture, 300)
    if reading == "mirror":
        changed = detect_sift(np.ascontiguousarray(picture[:, ::-1]), 300)
        permuted = mirrored_descriptors(features.descriptors)
    else:
        changed = detect_sift(255 - picture, 300)
        permuted = negative_descriptors(features.descriptors)
    cosines = nearest_cosines(permuted.astype(float), changed.descriptors.astype(float))
    plain = nearest_cosines(features.descriptors.astype(float), changed.descriptors.astype(float))
    assert np.median(cosines) > 0.97 > np.median(plain)


def test_readings_are_their_own_inverse(picture: Image) -> None:
    features = detect_sift(picture, 100)
    for angles in (mirrored_angles, negative_angles):
        turned = angles(angles(features.angles))
        np.testing.assert_allclose(np.cos(np.deg2rad(turned - features.angles)), 1, atol=1e-5)
    for descriptors in (mirrored_descriptors, negative_descriptors):
        twice = descriptors(descriptors(features.descriptors))
        np.testing.assert_array_equal(twice, features.descriptors)
