"""The packaged model: calibrated for its own weights; named where it is missing."""

from __future__ import annotations

import pytest

from asl.models import load_embedder, model_hash, shipped
from asl.models.shipped import shipped_model
from asl.types import UsageError


def test_the_shipped_model_is_calibrated_for_itself() -> None:
    from asl.models.score_constants import find_calibrations

    assert {"cosine", "hinge"} <= set(
        find_calibrations("asl_lite0", model_hash(load_embedder("asl_lite0")))
    )


def test_an_installation_without_weights_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shipped_model().is_file()
    monkeypatch.setattr(shipped, "SHIPPED", "asl_lite9")
    with pytest.raises(UsageError, match="this installation has no asl_lite9; use model=lite0"):
        shipped_model()
