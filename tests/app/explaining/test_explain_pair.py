"""The explanation of a pair: conclusion, direction, cues, edits; what cannot be compared."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from asl.app.explaining.explain_pair import Explanation
from asl.types import AslError, UsageError
from tests.app.explaining.conftest import explained


def test_a_crop_is_explained(crop_case: Explanation, files: Path) -> None:
    assert crop_case.conclusion == "copy"
    assert crop_case.original is crop_case.first
    cut, whole = files / "cut <b>.jpg", files / "whole.jpg"
    assert crop_case.sentence == f"{cut} is a copy of {whole}"
    assert crop_case.reason.startswith(f"all of {cut} matches ")
    assert any(edit.startswith("cropped to") for edit in crop_case.match.edits)
    assert crop_case.cues[0][0] < 0, "the strongest cue speaks for the first as the original"
    assert abs(crop_case.cues[0][0]) == max(abs(vote) for vote, _ in crop_case.cues)
    assert crop_case.first.sha256 == hashlib.sha256(whole.read_bytes()).hexdigest()
    assert crop_case.first.modified.timestamp() == pytest.approx(whole.stat().st_mtime)
    assert crop_case.evidence["aligned"] == 1
    assert crop_case.precisions[0][2]


def test_the_order_has_no_influence(crop_case: Explanation, files: Path) -> None:
    other = explained(files / "cut <b>.jpg", files / "whole.jpg")
    assert other.sentence == crop_case.sentence
    assert other.match.probability == pytest.approx(crop_case.match.probability)
    assert (other.original, crop_case.original) == (other.second, crop_case.first)
    assert [round(vote, 6) for vote, _ in other.cues] == [
        round(-vote, 6) for vote, _ in crop_case.cues
    ]


def test_another_picture_is_no_copy(other_case: Explanation) -> None:
    assert (other_case.conclusion, other_case.original) == ("no copy", None)
    assert other_case.sentence.startswith("Neither of ")
    assert not other_case.match.accepted
    assert other_case.reason


def test_the_same_file_and_the_same_pixels(files: Path) -> None:
    same = explained(files / "whole.jpg", files / "again.jpg")
    assert (same.conclusion, same.original, same.cues) == ("same file", None, ())
    assert same.sentence.endswith("are the same file, byte for byte")
    pixels = explained(files / "pixels.png", files / "whole.jpg")
    assert (pixels.conclusion, pixels.original) == ("copy", pixels.second)
    assert pixels.aligned is not None
    assert int(pixels.aligned.difference.min()) == 255


def test_files_that_are_no_images_are_named(files: Path) -> None:
    with pytest.raises(UsageError, match=r"gone\.jpg: cannot be read"):
        explained(files / "whole.jpg", files / "gone.jpg")
    with pytest.raises(UsageError, match="not a regular file; name an image file"):
        explained(files, files / "whole.jpg")
    with pytest.raises(AslError, match=r"broken\.jpg: no usable image"):
        explained(files / "whole.jpg", files / "broken.jpg")
    with pytest.raises(UsageError, match="precision"):
        explained(files / "whole.jpg", files / "whole.jpg", precision=2)
