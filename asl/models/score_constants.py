"""Constants of a model's scores (λ, τ, range of log-norms): given, calibrated, or the default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from asl.models.model_card import read_card
from asl.models.shipped import PACKAGED, shipped_model
from asl.scoring.calibration import Calibration
from asl.scoring.score import Score
from asl.types import AslError


def find_calibrations(model: str | Path, model_hash: str) -> dict[str, Calibration]:
    """Read the calibrations from the card of a saved model: score mode -> calibration.

    Features of another packaged model than the named one get that model's calibrations.

    Args:
        model: name or path of the model; one without a card has no calibration.
        model_hash: of the model that made the features, empty where unknown; a calibration of
            other weights is ignored.
    """
    if not model_hash:
        return {}
    named = shipped_model(str(model)) if model in PACKAGED else Path(model)
    packaged = (Path(__file__).with_name(f"{name}.safetensors") for name in PACKAGED)
    found = (_calibrations(path, model_hash) for path in (named, *packaged))
    return next((calibrations for calibrations in found if calibrations), {})


def _calibrations(path: Path, model_hash: str) -> dict[str, Calibration]:
    """Read those of one model; empty where its weights have another hash."""
    path = path / "model.safetensors" if path.is_dir() else path
    if not path.is_file() or path.suffix != ".safetensors":
        return {}
    cards = dict(read_card(path).get("calibration") or {})
    if cards.pop("model", None) != model_hash:
        return {}
    return {mode: Calibration.from_card(card) for mode, card in cards.items()}


def resolve_score(
    mode: str,
    calibrations: Mapping[str, Calibration],
    *,
    lam: float | None = None,
    tau: float | None = None,
    clip: Sequence[float] | None = None,
) -> Score:
    """Resolve the constants of a score: given ones first, then calibrated ones, then the defaults.

    Every verb gets λ, τ and the range of log-norms here. A mode without a calibration of its own
    takes λ and τ of ``hinge``.

    Args:
        mode: ``cosine``, ``paper``, ``strict``, ``soft`` or ``hinge``.
        calibrations: score mode -> calibration of the model (:func:`find_calibrations`).
        lam: weight of the log-norm difference; None: calibrated, else that of ``Score()`` (0.1).
        tau: free log-norm difference; None: calibrated, else 0.
        clip: range of log-norms in ``soft``, [low, high]; None: calibrated, else none.

    Raises:
        AslError: an unknown mode, or a constant outside its range.
    """
    own = calibrations.get(mode) or calibrations.get("hinge")
    usual = own.score if own else Score()
    if clip is None:
        soft = calibrations.get("soft") if mode == "soft" else None
        clip = soft.score.clip if soft else None
    elif len(clip) != 2:
        raise AslError(f"clip: expected two log-norms [low, high], got {list(clip)}")
    return Score(
        mode,  # type: ignore[arg-type]
        usual.lam if lam is None else lam,
        usual.tau if tau is None else tau,
        None if clip is None else (clip[0], clip[1]),
    )


def base_score(model: str | Path, model_hash: str) -> Score:
    """Resolve the ``hinge`` score of a model, with the log-norm range of its ``soft``."""
    calibrations = find_calibrations(model, model_hash)
    soft = calibrations.get("soft")
    return resolve_score("hinge", calibrations, clip=soft.score.clip if soft else None)
