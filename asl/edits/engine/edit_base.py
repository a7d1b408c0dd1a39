"""What an edit is, and how edits are put together."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass
from typing import Any

import numpy as np

from asl.edits.engine.view import View
from asl.types import AslError

Rng = np.random.Generator


class Edit(ABC):
    """One edit: draws its parameters from ``rng``, returns the edited view with the way back kept."""

    @abstractmethod
    def __call__(self, view: View, rng: Rng) -> View:
        """Edit a view; the given one stays as it is."""

    @property
    def name(self) -> str:
        """``OverlayOnto`` -> ``overlay_onto``."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(self).__name__).lower()

    def entry(self, **parameters: Any) -> dict[str, Any]:
        """What goes into the log of the view."""
        plain = {
            name: round(value, 4) if isinstance(value, float) else value
            for name, value in parameters.items()
        }
        return {"edit": self.name, **plain}


def draw(rng: Rng, bounds: SequenceOf[float]) -> float:
    """A number between two bounds."""
    return float(rng.uniform(bounds[0], bounds[1]))


def draw_log(rng: Rng, bounds: SequenceOf[float]) -> float:
    """A positive number between two bounds, evenly in its logarithm."""
    return float(np.exp(rng.uniform(np.log(bounds[0]), np.log(bounds[1]))))


def check_range(name: str, bounds: SequenceOf[float], low: float, high: float) -> None:
    """Refuse bounds that are not inside low..high, in order.

    Raises:
        AslError: naming the parameter.
    """
    if len(bounds) != 2 or not low <= bounds[0] <= bounds[1] <= high:
        raise AslError(
            f"{name}: needs two numbers in order inside {low}..{high}, got {list(bounds)}"
        )


def _check_edits(edits: SequenceOf[Edit], owner: str) -> tuple[Edit, ...]:
    if not edits or not all(callable(edit) for edit in edits):
        raise AslError(f"{owner}: needs at least one edit, got {list(edits)}")
    return tuple(edits)


def _steps(edits: SequenceOf[Edit] | Mapping[str, Edit | None], owner: str) -> tuple[Edit, ...]:
    listed = edits.values() if isinstance(edits, Mapping) else edits
    return _check_edits([edit for edit in listed if edit is not None], owner)


@dataclass
class Sequence(Edit):
    """One edit after the other; given as a list, or as named steps in order, of which null ones are left out.

    Names let a recipe that builds on another one change a single step.
    """

    edits: SequenceOf[Edit] | Mapping[str, Edit | None]

    def __post_init__(self) -> None:
        self._steps = _steps(self.edits, "Sequence")

    def __call__(self, view: View, rng: Rng) -> View:
        """Apply all."""
        for edit in self._steps:
            view = edit(view, rng)
        return view


@dataclass
class Shuffled(Edit):
    """All of several edits (a list or named steps, as in :class:`Sequence`) in random order."""

    edits: SequenceOf[Edit] | Mapping[str, Edit | None]

    def __post_init__(self) -> None:
        self._steps = _steps(self.edits, "Shuffled")

    def __call__(self, view: View, rng: Rng) -> View:
        """Apply all."""
        for number in rng.permutation(len(self._steps)).tolist():
            view = self._steps[number](view, rng)
        return view


@dataclass
class Maybe(Edit):
    """An edit with a probability."""

    edit: Edit
    p: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.p <= 1:
            raise AslError(f"p: a probability is in 0..1, got {self.p}")

    def __call__(self, view: View, rng: Rng) -> View:
        """Apply it, or not."""
        return self.edit(view, rng) if rng.random() < self.p else view


@dataclass
class OneOf(Edit):
    """One of several edits, with equal or given weights."""

    edits: SequenceOf[Edit]
    weights: SequenceOf[float] | None = None

    def __post_init__(self) -> None:
        self.edits = _check_edits(self.edits, "OneOf")
        weights = (
            np.ones(len(self.edits))
            if self.weights is None
            else np.asarray(self.weights, dtype=np.float64)
        )
        if weights.shape != (len(self.edits),) or weights.min() < 0 or weights.sum() <= 0:
            raise AslError(
                f"OneOf: {len(self.edits)} edits need as many weights of 0 or more, got {self.weights}"
            )
        self._share = np.cumsum(weights / weights.sum())

    def __call__(self, view: View, rng: Rng) -> View:
        """Apply one."""
        chosen = int(np.searchsorted(self._share, rng.random(), side="right"))
        return self.edits[min(chosen, len(self.edits) - 1)](view, rng)


@dataclass
class SomeOf(Edit):
    """Some of several edits, between ``least`` and ``most``, in random order."""

    edits: SequenceOf[Edit]
    least: int = 1
    most: int = 3

    def __post_init__(self) -> None:
        self.edits = _check_edits(self.edits, "SomeOf")
        if not 0 <= self.least <= self.most <= len(self.edits):
            raise AslError(
                f"SomeOf: needs 0 <= least <= most <= {len(self.edits)}, got least={self.least}, most={self.most}"
            )

    def __call__(self, view: View, rng: Rng) -> View:
        """Apply some."""
        count = int(rng.integers(self.least, self.most + 1))
        for index in rng.permutation(len(self.edits))[:count]:
            view = self.edits[int(index)](view, rng)
        return view
