from __future__ import annotations

import cv2
import numpy as np

from asl.data.scenes import render_scene


def thumbnail(image: np.ndarray) -> np.ndarray:
    return cv2.resize(image, (16, 12), interpolation=cv2.INTER_AREA).astype(np.float32)


def test_same_arguments_give_the_same_bytes() -> None:
    assert np.array_equal(render_scene(5), render_scene(5))
    assert np.array_equal(render_scene(5, look=2), render_scene(5, look=2))


def test_another_look_is_alike_but_no_copy() -> None:
    """Two looks are nearer to each other than to other scenes, and yet differ pixel by pixel."""
    first = [thumbnail(render_scene(seed)) for seed in range(12)]
    second = [thumbnail(render_scene(seed, look=1)) for seed in range(12)]
    distance = np.array([[np.abs(a - b).mean() for b in second] for a in first])
    assert (distance.argmin(axis=1) == np.arange(12)).mean() >= 0.75
    assert distance.diagonal().min() > 5


def test_scenes_have_detail_everywhere() -> None:
    for seed in range(8):
        gray = cv2.cvtColor(render_scene(seed), cv2.COLOR_RGB2GRAY)
        assert cv2.Laplacian(gray, cv2.CV_32F).std() > 8


def test_size() -> None:
    assert render_scene(1, height=90, width=130).shape == (90, 130, 3)


def test_scenes_are_photographs_enough() -> None:
    assert np.asarray(render_scene(1)).std() > 20
