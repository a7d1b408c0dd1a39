from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from asl.edits.engine.edit_base import Edit, Maybe, OneOf, Sequence, Shuffled, SomeOf, check_range
from asl.edits.engine.view import View
from asl.edits.geometric import Crop, Flip
from asl.edits.photometric import Grayscale, Levels, Pixelwise
from asl.types import AslError


def share(edit: Edit, image: np.ndarray, count: int = 400) -> Counter[str]:
    rng, seen = np.random.default_rng(0), Counter[str]()
    for _ in range(count):
        seen.update(["+".join(entry["edit"] for entry in edit(View.original(image), rng).log)])
    return seen


def test_combinations_keep_their_probabilities(photo: np.ndarray) -> None:
    small = photo[:16, :16]
    maybe = share(Maybe(Flip(), p=0.25), small)
    assert maybe["flip"] == pytest.approx(100, abs=30)
    one = share(OneOf([Flip(), Grayscale()], weights=[3, 1]), small)
    assert one["flip"] == pytest.approx(300, abs=30)
    assert set(one) == {"flip", "grayscale"}
    some = share(SomeOf([Flip(), Grayscale(), Levels("invert")], least=2, most=2), small)
    assert len(some) == 6  # every ordered pair
    assert min(some.values()) > 30
    assert share(Sequence([Flip(), Grayscale()]), small) == {"flip+grayscale": 400}
    shuffled = share(Shuffled({"a": Flip(), "b": Grayscale(), "c": None}), small)
    assert shuffled["flip+grayscale"] == pytest.approx(200, abs=40)
    assert shuffled["grayscale+flip"] == pytest.approx(200, abs=40)


def test_a_sequence_may_name_its_steps_and_leave_some_out(photo: np.ndarray) -> None:
    edit = Sequence({"first": Flip(), "second": None, "third": Grayscale()})
    view = edit(View.original(photo), np.random.default_rng(0))
    assert [entry["edit"] for entry in view.log] == ["flip", "grayscale"]


def test_refusals() -> None:
    with pytest.raises(
        AslError, match=r"area: expected two numbers in order inside 0.001..1, got \[0.9, 0.3\]"
    ):
        Crop(area=(0.9, 0.3))
    with pytest.raises(AslError, match=r"p: expected a probability in 0\.\.1, got 1\.5"):
        Maybe(Flip(), p=1.5)
    with pytest.raises(AslError, match="weights: expected 1 numbers"):
        OneOf([Flip()], weights=[1, 2])
    with pytest.raises(AslError, match="least, most: expected 0 <= least <= most <= 1"):
        SomeOf([Flip()], least=0, most=2)
    with pytest.raises(AslError, match="edits: expected at least one edit"):
        Sequence([])
    with pytest.raises(AslError, match="moves no pixels, got 'HorizontalFlip'"):
        Pixelwise("HorizontalFlip")
    with pytest.raises(AslError, match="ToGray"):
        Pixelwise("ToGray", {"strength": 3})
    check_range("x", [0, 1], 0, 1)
