"""Frames of one moment: aligned, near in time, no copies."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import cv2
import numpy as np
import pytest

from asl.app.library.facts import Facts
from asl.app.pairs.pair_verdict import PairVerdict
from asl.app.pairs.pair_verifier import verify_prepared
from asl.app.pairs.same_moment import (
    may_be_same_moment,
    may_be_shots,
    taken_apart,
    were_shot_apart,
)
from asl.data.images import decode_image
from asl.matching import Verifier
from tests.app.pairs.shots import resaved, shot
from tests.matching.conftest import Image, textured


def verdict_of(first: Image, second: Image) -> PairVerdict:
    verifier = Verifier()
    return verify_prepared(verifier.prepare(first), verifier.prepare(second), verifier)


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_somebody_moved_between_two_shots(seed: int) -> None:
    first, second = shot(seed, 0), shot(seed, 1)
    verdict = verdict_of(first, second)
    assert may_be_same_moment(verdict)
    assert may_be_same_moment(verdict_of(second, first))
    assert verdict.same_moment + verdict.probability <= 1 + 1e-6


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_copies_and_strangers_are_no_shots_of_one_moment(seed: int) -> None:
    first = shot(seed, 0)
    for other in (resaved(first, 40), first[20:180, 30:250].copy(), first[:, ::-1].copy()):
        assert not may_be_same_moment(verdict_of(other, first))
    assert not may_be_same_moment(verdict_of(first, textured(seed + 50, 240, 320)))


def test_the_same_picture_is_no_other_shot() -> None:
    first = shot(3, 0)
    assert verdict_of(first, first).same_moment == 0


def test_screens_of_one_program_are_no_shots() -> None:
    """They share their bars and paper; a burst of slides would be wrong."""

    def screen(seed: int) -> Image:
        rng = np.random.default_rng(seed)
        image = np.full((360, 480, 3), 245, np.uint8)
        cv2.rectangle(image, (0, 0), (479, 46), (140, 70, 30), -1)
        cv2.putText(image, "Inbox", (14, 32), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (255, 255, 255), 2)
        for row in range(6):
            text = "".join(rng.choice(list("abcdefgh iklmnorstu"), 26))
            place = (70, 84 + 50 * row)
            cv2.circle(image, (36, 78 + 50 * row), 15, (190, 190, 190), -1, cv2.LINE_AA)
            cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.7, (40, 40, 40), 1)
        return image

    screens = [screen(seed) for seed in range(4)]
    assert not any(may_be_same_moment(verdict_of(*pair)) for pair in permutations(screens, 2))


@pytest.mark.shared
def test_neighbouring_frames_of_videos_are_shots_of_one_moment(shared_data: Path) -> None:
    videos = sorted((shared_data / "bench" / "groups" / "davis").iterdir())
    frames = [sorted(video.glob("*.jpg"))[3:5] for video in videos]
    verdicts = [verdict_of(*map(decode_image, pair)) for pair in frames]
    no_copies = [verdict for verdict in verdicts if verdict.probability < 0.5]
    assert len(no_copies) > len(frames) / 2
    assert np.mean([may_be_same_moment(verdict) for verdict in no_copies]) > 0.7


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
