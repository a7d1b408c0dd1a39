"""Keys that several verbs have: one name, one default, one explanation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from asl.shared_defaults import BATCH_SIZE, SN_FIRST, SN_LAST, SN_WEIGHT

Regions = Literal["none", "coarse", "fine"]
Compare = Literal["auto", "promising", "all"]
IdStyle = Literal["path", "stem"]
PairScore = Literal["cosine", "paper", "strict", "soft", "hinge"]
Engine = Literal["auto", "faiss", "tensorcore", "exact"]


@dataclass(kw_only=True)
class ScoreConstants:
    """Constants of the score.

    Attributes:
        lam: weight λ of the log-norm difference; null: as calibrated for the model, else 0.1.
        tau: log-norm difference that is free; null: as calibrated for the model, else 0.
    """

    lam: float | None = None
    tau: float | None = None


@dataclass(kw_only=True)
class Postprocessing:
    """Post-processing with a background of training images.

    Attributes:
        normalize: score normalisation: none, subtract (the mean cosine with the nearest background
            images) or stretch (descriptor stretching).
        sn_weight: weight β of the score normalisation.
        sn_first: rank of the first background neighbour that counts, 0 = nearest.
        sn_last: rank of the last background neighbour that counts.
        whiten: dimensions to whiten to, fitted on the background; 0: no whitening.
        negatives: weight of negative embedding subtraction with the background (0.35 in its paper);
            0: none.
    """

    normalize: Literal["none", "subtract", "stretch"] = "none"
    sn_weight: float = SN_WEIGHT
    sn_first: int = SN_FIRST
    sn_last: int = SN_LAST
    whiten: int = 0
    negatives: float = 0.0


@dataclass(kw_only=True)
class Workers:
    """Machine.

    Attributes:
        workers: processes that decode and verify; null: one per core, but none that decode beside a
            model on the CPU.
    """

    workers: int | None = None


@dataclass(kw_only=True)
class Machine(Workers):
    """Machine.

    Attributes:
        batch_size: images per forward pass.
        device: auto, cpu, cuda, or one GPU such as cuda:1.
    """

    batch_size: int = BATCH_SIZE
    device: str = "auto"
