"""Losses as pure functions with their equation, and small modules with one interface."""

from asl.losses.loss_inputs import LossInputs
from asl.losses.weighted_sum import WeightedSum

__all__ = ["LossInputs", "WeightedSum"]
