"""Training: the Lightning module, optimiser and schedule, cross-process gather, callbacks."""

from asl.console.schemas.train_config import FitSettings
from asl.training.fit import fit
from asl.training.module import CopyDetectionModule

__all__ = ["CopyDetectionModule", "FitSettings", "fit"]
