"""Losses: pure functions with the paper's equation, and thin modules around them with one interface."""

from asl.losses.loss_inputs import LossInputs
from asl.losses.weighted_sum import WeightedSum

__all__ = ["LossInputs", "WeightedSum"]
