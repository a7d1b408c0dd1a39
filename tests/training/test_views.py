"""The views that a training's configuration asks for."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from asl.console.entry import compose
from asl.data.scenes import render_scene
from asl.data.training_sources import open_sources
from asl.training.run_training import view_plan


def test_overlays_are_decoded_at_what_the_largest_views_use(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.jpg"), render_scene(0, height=600, width=800)[..., ::-1])
    keys = ["data=folder", f"data.train={tmp_path}", "data.sizes=[32,64]", "data.size_starts=[0,3]"]
    config = compose("train", keys)
    drawn = view_plan(config, open_sources(config.data)).pool.draw(np.random.default_rng(0))
    assert drawn.shape == (150, 200, 3), "a quarter: an eighth would leave fewer than 128"
