"""Predicted evidence of the other direction, beside the measured one."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from asl.matching import Verifier
from asl.matching.evidence.exchanged import exchanged
from asl.matching.values import EVIDENCE, Evidence
from tests.matching.conftest import Image


def test_what_has_a_counterpart_is_exchanged_and_the_rest_is_kept() -> None:
    evidence = Evidence(**{name: place + 1.0 for place, name in enumerate(EVIDENCE)})
    other = exchanged(evidence)
    assert exchanged(other) == evidence
    moved = [name for name in EVIDENCE if getattr(other, name) != getattr(evidence, name)]
    pairs = ("cover", "seam", "edge", "inside", "join", "break", "echo")
    sides = [f"{name}_{side}" for name in pairs for side in ("query", "reference")]
    assert set(moved) == {*sides, "detail"}
    assert other.seam_query == evidence.seam_reference


@pytest.mark.parametrize("width", [120, 160, 200])
def test_a_crop_and_its_original_are_predicted_from_either_side(picture: Image, width: int) -> None:
    part = np.ascontiguousarray(picture[20:140, 20 : 20 + width])
    part = cv2.resize(part, None, fx=1.3, fy=1.3, interpolation=cv2.INTER_CUBIC)
    verifier = Verifier()
    crop, whole = verifier.prepare(part), verifier.prepare(picture)
    there, back = verifier.verify_prepared(crop, whole), verifier.verify_prepared(whole, crop)
    for verdict, measured in ((there, back), (back, there)):
        expected = exchanged(verdict.evidence)
        for name in ("cover_query", "cover_reference", "inside_query", "inside_reference"):
            value = getattr(measured.evidence, name)
            assert getattr(expected, name) == pytest.approx(value, abs=0.03), name
        assert expected.detail == pytest.approx(measured.evidence.detail, abs=0.3)
        predicted, moment = verifier.predicted_backward(verdict)
        assert predicted == pytest.approx(measured.probability, abs=0.2)
        assert moment == pytest.approx(measured.same_moment, abs=0.2)
        assert predicted != pytest.approx(verdict.probability, abs=0.2), "it is another question"
    swapped = replace(there.evidence, cover_query=0.0)
    assert exchanged(swapped).cover_reference == 0.0
