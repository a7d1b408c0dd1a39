"""Training: the Lightning module, optimiser and schedule, cross-process gather, callbacks."""

from asl.training.fit import FitSettings, fit
from asl.training.module import CopyDetectionModule

__all__ = ["CopyDetectionModule", "FitSettings", "fit"]
