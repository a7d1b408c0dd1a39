"""Fields that later versions add change no hash."""

from __future__ import annotations

import pytest

from asl.models.recipe import Preprocessing, Recipe, non_default
from asl.types import UsageError


def test_only_chosen_fields_count() -> None:
    plan = Recipe("resnet18", dim=8, hidden=(4096,), without=[])
    assert non_default(plan) == {"backbone": "resnet18", "dim": 8}
    assert non_default(Recipe("x", wave=("layer2",))) == non_default(Recipe("x", wave=["layer2"]))
    assert non_default(Preprocessing()) == {}


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 8},
        {"resize": "crop"},
        {"resampling": "box"},
        {"std": (0.0, 1.0, 1.0)},
        {"mean": (0.5,)},
    ],
)
def test_wrong_preprocessing_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"^model\."):
        Preprocessing(**wrong)  # type: ignore[arg-type]
