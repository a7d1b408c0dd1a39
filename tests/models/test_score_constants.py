"""A model's constants and calibration travel with its file, and only with its own features."""

from __future__ import annotations

from pathlib import Path

import pytest

from asl.models import Embedder, build_embedder, model_hash, save_embedder
from asl.models.saved_model import read_model
from asl.models.score_constants import base_score, find_calibrations, resolve_score
from asl.models.shipped import PACKAGED, SHIPPED, shipped_model
from asl.scoring.calibration import Calibration, Threshold
from asl.scoring.score import Score
from asl.types import AslError


@pytest.fixture
def embedder() -> Embedder:
    return build_embedder(backbone="mobilenetv3_small_050", size=32, dim=8).eval()


@pytest.fixture
def saved(embedder: Embedder, tmp_path: Path) -> Path:
    rows = (Threshold(0.9, 0.7, 0.4, 0.1),)
    hinge = Calibration(Score("hinge", lam=0.05, tau=0.3), 10.0, -5.0, rows)
    soft = Calibration(Score("soft", lam=0.05, clip=(-1.0, 0.5)), 10.0, -5.0, ())
    card = {
        "calibration": {
            "model": model_hash(embedder),
            "hinge": hinge.to_card(),
            "soft": soft.to_card(),
        }
    }
    save_embedder(embedder, tmp_path / "model.safetensors", card=card)
    return tmp_path


def test_a_model_brings_its_constants(saved: Path, embedder: Embedder) -> None:
    weights = model_hash(embedder)
    assert find_calibrations(saved, weights)["hinge"].threshold(0.8).threshold == 0.7
    for path in (saved, saved / "model.safetensors"):
        assert base_score(path, weights) == Score("hinge", 0.05, 0.3, (-1.0, 0.5))


def test_features_of_another_model_are_not_read_with_them(saved: Path) -> None:
    assert find_calibrations(saved, "0123456789abcdef") == {}
    assert base_score(saved, "0123456789abcdef") == Score("hinge")


def test_features_of_any_packaged_model_are_read_with_its_own_constants() -> None:
    """A search over stores names no model, but has a default one."""
    hashes = {name: read_model(shipped_model(name)).hash for name in PACKAGED}
    for name, weights in hashes.items():
        assert find_calibrations(SHIPPED, weights) == find_calibrations(name, weights) != {}
    assert len({base_score(SHIPPED, weights).clip for weights in hashes.values()}) == len(PACKAGED)


def test_a_model_without_calibration_takes_the_usual_constants(
    embedder: Embedder, tmp_path: Path
) -> None:
    save_embedder(embedder, tmp_path / "m.safetensors", card={})
    assert base_score(tmp_path / "m.safetensors", model_hash(embedder)) == Score("hinge")


def test_given_constants_come_before_calibrated_ones_and_those_before_defaults() -> None:
    hinge = Calibration(Score("hinge", lam=0.05, tau=0.3), 1.0, 0.0, ())
    soft = Calibration(Score("soft", lam=0.01, clip=(-1.0, 0.5)), 1.0, 0.0, ())
    both = {"hinge": hinge, "soft": soft}
    assert resolve_score("hinge", {}) == Score("hinge", 0.1, 0.0)
    assert resolve_score("hinge", both) == Score("hinge", 0.05, 0.3)
    assert resolve_score("strict", both) == Score("strict", 0.05, 0.3), "those of hinge"
    assert resolve_score("soft", both) == Score("soft", 0.01, 0.0, (-1.0, 0.5))
    assert resolve_score("soft", {"hinge": hinge}) == Score("soft", 0.05, 0.3)
    given = resolve_score("soft", both, lam=0.2, tau=0.1, clip=[0.0, 1.0])
    assert given == Score("soft", 0.2, 0.1, (0.0, 1.0))
    with pytest.raises(AslError, match=r"clip: expected two log-norms .* got \[1\]"):
        resolve_score("soft", both, clip=[1])
