"""Two images: which is the original?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import asl
from asl.app.comparison import compare
from asl.models import Embedder
from asl.types import AslError, UsageError
from tests.app.conftest import crop, encode, textured


def test_a_crop_and_its_original(photos: Path, embedder: Embedder) -> None:
    whole, part = photos / "p0.jpg", crop(textured(0))
    match = compare(part, whole, model=embedder)
    assert (match.reference, match.path) == ("p0.jpg", whole)
    assert match.accepted
    assert match.direction == "reference->query"
    assert match.edits == ("cropped to 36 %",)
    back = compare(whole, part, model=embedder)
    assert (back.reference, back.path, back.direction) == ("reference", None, "query->reference")
    assert back.probability == pytest.approx(match.probability)


def test_unlike_images_are_no_copies_and_one_file_is_itself(embedder: Embedder) -> None:
    assert compare(textured(0), textured(1), model=embedder).probability < 0.5
    data = encode(textured(0))
    assert compare(data, data, model=embedder).reason == "the same file, byte for byte"


def test_it_is_in_the_package_and_refuses_what_is_no_image(embedder: Embedder) -> None:
    assert asl.compare is compare
    with pytest.raises(UsageError, match="expected two images, got list"):
        compare([textured(0)], textured(1), model=embedder)  # type: ignore[arg-type]
    with pytest.raises(AslError, match=r"^reference: empty file"):
        compare(textured(0), b"", model=embedder)
    with pytest.raises(UsageError, match=r"float pixels must be in 0\.\.1, got 0 to 2"):
        compare(np.linspace(0, 2, 48).reshape(4, 4, 3), textured(1), model=embedder)
