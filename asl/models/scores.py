"""Score constants of a model (λ, τ, clipping range), read from the calibration in its card."""

from __future__ import annotations

from pathlib import Path

from asl.models.io import SHIPPED, read_card, shipped_model
from asl.scoring.calibration import Calibration
from asl.scoring.score import Score


def find_calibrations(model: str | Path, model_hash: str) -> dict[str, Calibration]:
    """How the scores of a saved model are to be read: score mode -> calibration, from the model's card.

    Args:
        model: its name or path; without a file that has a calibration there is none.
        model_hash: of the model that made the features, empty where that is unknown; a calibration
            of other weights does not count.
    """
    if not model_hash:
        return {}
    path = shipped_model() if model == SHIPPED else Path(model)
    path = path / "model.safetensors" if path.is_dir() else path
    if not path.is_file() or path.suffix != ".safetensors":
        return {}
    found = dict(read_card(path).get("calibration") or {})
    if found.pop("model", None) != model_hash:
        return {}
    return {mode: Calibration.from_card(card) for mode, card in found.items()}


def base_score(
    model: str | Path, model_hash: str, *, lam: float | None = None, tau: float | None = None
) -> Score:
    """The constants of a model's scores: those given, else those of its calibration, else the usual ones."""
    found = find_calibrations(model, model_hash)
    usual = found["hinge"].score if "hinge" in found else Score()
    clip = found["soft"].score.clip if "soft" in found else None
    return Score(
        "hinge", usual.lam if lam is None else lam, usual.tau if tau is None else tau, clip
    )
