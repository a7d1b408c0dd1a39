"""The constants and the calibration of a model travel with its file, and only with its own features."""

from __future__ import annotations

from pathlib import Path

import pytest

from asl.models import Embedder, build_embedder, model_hash, save_embedder
from asl.pipeline import base_score, find_calibrations
from asl.scoring.calibration import Calibration, Threshold
from asl.scoring.score import Score


@pytest.fixture
def embedder() -> Embedder:
    return build_embedder(backbone="mobilenetv3_small_050", size=32, dim=8).eval()


@pytest.fixture
def saved(embedder: Embedder, tmp_path: Path) -> Path:
    rows = (Threshold(0.9, 0.7, 0.4, 0.1),)
    hinge = Calibration(Score("hinge", lam=0.05, tau=0.3), 10.0, -5.0, rows)
    soft = Calibration(Score("soft", lam=0.05, clip=(-1.0, 0.5)), 10.0, -5.0, ())
    card = {"calibration": {"model": model_hash(embedder), "hinge": hinge.to_card(), "soft": soft.to_card()}}
    save_embedder(embedder, tmp_path / "model.safetensors", card=card)
    return tmp_path


def test_a_model_brings_its_constants(saved: Path, embedder: Embedder) -> None:
    weights = model_hash(embedder)
    assert find_calibrations(saved, weights)["hinge"].threshold(0.8).threshold == 0.7
    for path in (saved, saved / "model.safetensors"):
        assert base_score(path, weights) == Score("hinge", 0.05, 0.3, (-1.0, 0.5))
    assert base_score(saved, weights, lam=0.2, tau=0.0) == Score("hinge", 0.2, 0.0, (-1.0, 0.5)), "a user's word counts"


def test_features_of_another_model_are_not_read_with_them(saved: Path) -> None:
    assert find_calibrations(saved, "0123456789abcdef") == {}
    assert base_score(saved, "0123456789abcdef") == Score("hinge")


def test_a_model_without_calibration_takes_the_usual_constants(embedder: Embedder, tmp_path: Path) -> None:
    save_embedder(embedder, tmp_path / "m.safetensors", card={})
    assert base_score(tmp_path / "m.safetensors", model_hash(embedder)) == Score("hinge")
    assert base_score("lite0", "x", lam=0.3) == Score("hinge", 0.3)
