"""Losses: pure functions with the paper's equation, and thin modules around them with one interface."""

from asl.losses.inputs import LossInputs
from asl.losses.weighted import WeightedSum

__all__ = ["LossInputs", "WeightedSum"]
