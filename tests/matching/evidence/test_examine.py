"""Examination of a pair: readings, the order of alignments, bends, structure."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

import asl.matching.align.learned_alignment as learned_module
import asl.matching.evidence.examine as evidence_module
from asl.edits import View
from asl.edits.local_warps import GridDistortion
from asl.matching.align.prepare import prepare
from asl.matching.evidence.examine import examine
from asl.matching.values import Alignment, Settings
from tests.matching.align.conftest import SETTINGS
from tests.matching.conftest import Image


@pytest.mark.parametrize("mirrored", [True, False])
def test_pixels_are_read_mirrored_only_where_asked_for(picture: Image, mirrored: bool) -> None:
    blurred = cv2.GaussianBlur(picture, (0, 0), 6)
    turned = prepare(np.ascontiguousarray(blurred[:, ::-1]), SETTINGS)
    bare = [
        replace(
            side,
            points=side.points[:0],
            scales=side.scales[:0],
            angles=side.angles[:0],
            descriptors=side.descriptors[:0],
        )
        for side in (turned, prepare(blurred, SETTINGS))
    ]
    settings = Settings(mirrored=mirrored, learned=False)
    found = examine(bare[0], bare[1], settings).alignments
    assert [item.mirrored for item in found] == ([True] if mirrored else [])
    if mirrored:
        learned = examine(bare[0], bare[1], Settings()).alignments
        assert [(item.mirrored, item.learned) for item in learned] == [(True, True)]


@pytest.mark.parametrize("order", [1, -1])
def test_the_alignment_that_agrees_best_leads_whatever_its_place(
    picture: Image, monkeypatch: pytest.MonkeyPatch, order: int
) -> None:
    image = prepare(picture, SETTINGS)
    right, wrong = (
        Alignment(np.eye(3), inliers=40),
        Alignment(np.array([[1.0, 0, 25], [0, 1, 9], [0, 0, 1]]), inliers=40),
    )
    monkeypatch.setattr(evidence_module, "align", lambda *_: [right, wrong][::order])
    found = examine(image, image, SETTINGS)
    assert found.alignments == (right, wrong)
    assert found.evidence.corr_low > 0.99


def test_the_verifier_tries_a_bend_only_where_it_could_help(picture: Image) -> None:
    def evidence(query: Image) -> dict[str, float]:
        found = examine(
            prepare(query, Settings()), prepare(picture, Settings()), Settings()
        ).evidence
        return {name: getattr(found, name) for name in ("bent_low", "corr_low", "bend")}

    bent = GridDistortion(strength=(0.4, 0.4))(
        View.original(picture), np.random.default_rng(0)
    ).image
    tried, stiff = evidence(bent), evidence(picture[:, ::-1])
    assert tried["bent_low"] > tried["corr_low"] + 0.3
    assert stiff["bend"] == 0.0
    assert stiff["bent_low"] == stiff["corr_low"]


def test_a_picture_beside_itself_agrees_and_covers_all(picture: Image) -> None:
    image = prepare(picture, SETTINGS)
    found = examine(image, image, SETTINGS)
    evidence = found.evidence
    assert (evidence.aligned, evidence.mirrored, evidence.dense, evidence.bend) == (1, 0, 0, 0)
    assert evidence.seen == min(1.0, len(image.points) / 60)
    assert min(evidence.corr_low, evidence.cover_query, evidence.cover_reference) > 0.97
    assert evidence.inliers == pytest.approx(np.log1p(found.alignments[0].inliers))
    assert (
        np.abs(found.alignments[0].matrix / found.alignments[0].matrix[2, 2] - np.eye(3)).max()
        < 0.1
    )
    assert not found.negative


def test_only_a_negative_is_read_as_one(picture: Image, other_picture: Image) -> None:
    reference = prepare(picture, SETTINGS)
    readings = {
        name: examine(prepare(np.ascontiguousarray(image), SETTINGS), reference, SETTINGS)
        for name, image in (("negative", 255 - picture), ("turned", np.rot90(picture)))
    }
    assert readings["negative"].negative
    assert readings["negative"].evidence.corr_low > 0.9
    assert not readings["turned"].negative
    assert readings["turned"].evidence.corr_low > 0.9
    assert examine(prepare(other_picture, SETTINGS), reference, SETTINGS).evidence.corr_low < 0.5


def test_without_structure_nothing_is_found(picture: Image) -> None:
    plain, reference = (
        prepare(np.full((90, 120, 3), 7, np.uint8), SETTINGS),
        prepare(picture, SETTINGS),
    )
    for one, other in ((plain, reference), (reference, plain), (plain, plain)):
        found = examine(one, other, SETTINGS)
        assert (found.alignments, found.comparison) == ((), None)
        assert not found.evidence.vector().any()


@pytest.mark.parametrize("is_mirrored", [False, True], ids=["plain", "mirrored"])
def test_features_of_the_mirrored_query_are_detected_only_where_they_can_count(
    picture: Image, monkeypatch: pytest.MonkeyPatch, is_mirrored: bool
) -> None:
    crop = np.ascontiguousarray(picture[10:170, 20:220][:, :: -1 if is_mirrored else 1])
    query, reference = prepare(crop, SETTINGS), prepare(picture, SETTINGS)
    quick = examine(query, reference, SETTINGS)
    assert quick.alignments[0].mirrored is is_mirrored
    assert ("learned" in vars(query.mirror)) is is_mirrored
    monkeypatch.setattr(learned_module, "_RICH_MATCHES", 10**9)  # both readings, always
    whole = prepare(crop, SETTINGS)
    assert examine(whole, reference, SETTINGS).evidence == quick.evidence
    assert "learned" in vars(whole.mirror)
