"""Frames of one moment: aligned, near in time, no copies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from asl.app.library.facts import Facts
from asl.app.pairs.pair_verdict import PairVerdict
from asl.app.pairs.same_moment import (
    may_be_same_moment,
    may_be_shots,
    taken_apart,
    were_shot_apart,
)
from asl.data.images import decode_image, resize_image
from asl.features.runner import open_runner
from asl.model_names import packaged_hashes
from asl.models.opening import open_model
from asl.shared_defaults import MODELS

SQUARE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
FRAME = PairVerdict(0.1, 0.1, SQUARE, SQUARE, share_first=0.9, share_second=0.9)


def test_an_aligned_pair_of_near_features_may_be_one_moment() -> None:
    assert may_be_same_moment(0.9, FRAME, "mine")
    assert not may_be_same_moment(0.3, FRAME, "mine")
    for change in (
        {"first_outline": ()},
        {"share_second": 0.2},
        {"seen": False},
    ):
        assert not may_be_same_moment(0.9, replace(FRAME, **change), "mine")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", MODELS)
def test_the_cosine_is_of_the_model(name: str, shared_data: Path) -> None:
    """Neighbouring frames of videos reach it, different photographs do not."""
    frames = sorted((shared_data / "bench" / "groups" / "davis").rglob("*.jpg"))[::2]
    photos = sorted((shared_data / "train" / "in1k").rglob("*.jpg"))[::14]
    runner = open_runner(open_model(name), "cpu")
    plan = runner.preprocessing
    pixels = [
        resize_image(decode_image(path), plan.size, mode=plan.resize) for path in (*frames, *photos)
    ]
    features = runner.embed(pixels)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    model = packaged_hashes()[name]
    follows = [
        may_be_same_moment(float(unit[row] @ unit[row + 1]), FRAME, model)
        for row in range(len(frames) - 1)
        if frames[row].parent == frames[row + 1].parent
    ]
    assert len(follows) > 80
    assert np.mean(follows) > 0.8  # of every second frame; of all neighbours .99 do
    cosines = unit[len(frames) :] @ unit[len(frames) :].T
    upper = cosines[np.triu_indices(len(photos), 1)]
    assert not any(may_be_same_moment(float(cosine), FRAME, model) for cosine in upper)


@pytest.mark.parametrize(
    ("first", "second", "apart"),
    [
        ("2024:05:01 12:00:00", "2024:05:01 12:00:02", False),
        ("2024:05:01 12:00:00", "2024:05:02 12:00:00", True),
        ("2024:05:01 12:00:00", "", False),
        ("2024:05:01 12:00:00", "0000:00:00 00:00:00", False),
    ],
)
def test_dates_far_from_each_other_are_two_moments(first: str, second: str, apart: bool) -> None:
    facts = Facts(10, 10, 100)
    assert taken_apart(replace(facts, taken=first), replace(facts, taken=second)) == apart


def test_shots_have_one_camera_two_dates_and_one_size() -> None:
    first = Facts(400, 300, 1, camera="A", taken="2024:05:01 12:00:00")
    second = replace(first, taken="2024:05:01 12:00:02")
    assert were_shot_apart(first, second)
    assert not were_shot_apart(first, first), "a copy keeps the date"
    assert not were_shot_apart(first, replace(second, camera="B"))
    assert not were_shot_apart(first, replace(second, taken="2024:05:01 12:02:00"))
    assert not were_shot_apart(first, replace(second, taken=""))
    assert may_be_shots(first, second)
    assert not may_be_shots(first, replace(second, width=401))
    assert not may_be_shots(first, replace(second, taken="2024:05:01 12:02:00"))
