"""Base class of edits, and combinations: sequence, shuffle, maybe, one of, some of."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from asl.edits.engine.view import View
from asl.types import AslError

Rng = np.random.Generator


class Edit(ABC):
    """One edit: draw parameters from ``rng`` and return the edited view with its trace.

    Attributes:
        LIMITS: field that holds a range -> lowest and highest bound that it may have.
    """

    LIMITS: ClassVar[Mapping[str, tuple[float, float]]] = {}

    def __post_init__(self) -> None:
        """Check the ranges of a dataclass.

        Raises:
            AslError: one is outside its limits; the message names the parameter.
        """
        for name, (low, high) in self.LIMITS.items():
            check_range(name, getattr(self, name), low, high)

    @abstractmethod
    def __call__(self, view: View, rng: Rng) -> View:
        """Edit a view; the given view is not changed."""

    @property
    def name(self) -> str:
        """Name in snake case: ``OverlayOnto`` -> ``overlay_onto``."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(self).__name__).lower()

    def entry(self, **parameters: Any) -> dict[str, Any]:
        """Create the log entry of the view: name and drawn parameters, JSON-ready."""
        plain = {
            name: round(value, 4) if isinstance(value, float) else value
            for name, value in parameters.items()
        }
        return {"edit": self.name, **plain}


def draw(rng: Rng, bounds: SequenceOf[float]) -> float:
    """Draw a number uniformly between two bounds."""
    return float(rng.uniform(bounds[0], bounds[1]))


def draw_log(rng: Rng, bounds: SequenceOf[float]) -> float:
    """Draw a positive number log-uniformly between two bounds."""
    return float(np.exp(rng.uniform(np.log(bounds[0]), np.log(bounds[1]))))


def check_range(name: str, bounds: SequenceOf[float], low: float, high: float) -> None:
    """Check that bounds are two numbers in order inside ``low..high``.

    Raises:
        AslError: they are not; the message names the parameter.
    """
    if len(bounds) != 2 or not low <= bounds[0] <= bounds[1] <= high:
        raise AslError(
            f"{name}: expected two numbers in order inside {low}..{high}, got {list(bounds)}"
        )


def _check_edits(edits: SequenceOf[Edit]) -> tuple[Edit, ...]:
    if not edits or not all(callable(edit) for edit in edits):
        raise AslError(f"edits: expected at least one edit, got {list(edits)}")
    return tuple(edits)


def _steps(edits: SequenceOf[Edit] | Mapping[str, Edit | None]) -> tuple[Edit, ...]:
    listed = edits.values() if isinstance(edits, Mapping) else edits
    return _check_edits([edit for edit in listed if edit is not None])


@dataclass
class Sequence(Edit):
    """Apply edits in order.

    Attributes:
        edits: a list, or named steps, of which null ones are skipped. Names let a recipe that
            builds on another one change a single step.
    """

    edits: SequenceOf[Edit] | Mapping[str, Edit | None]

    def __post_init__(self) -> None:
        self._steps = _steps(self.edits)

    def __call__(self, view: View, rng: Rng) -> View:
        """Apply all."""
        for edit in self._steps:
            view = edit(view, rng)
        return view


@dataclass
class Shuffled(Edit):
    """Apply all edits in random order.

    Attributes:
        edits: a list or named steps, as in :class:`Sequence`.
    """

    edits: SequenceOf[Edit] | Mapping[str, Edit | None]

    def __post_init__(self) -> None:
        self._steps = _steps(self.edits)

    def __call__(self, view: View, rng: Rng) -> View:
        """Apply all."""
        for number in rng.permutation(len(self._steps)).tolist():
            view = self._steps[number](view, rng)
        return view


@dataclass
class Maybe(Edit):
    """Apply an edit with probability ``p``."""

    edit: Edit
    p: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.p <= 1:
            raise AslError(f"p: expected a probability in 0..1, got {self.p}")

    def __call__(self, view: View, rng: Rng) -> View:
        """Apply the edit, or return the view."""
        return self.edit(view, rng) if rng.random() < self.p else view


@dataclass
class OneOf(Edit):
    """Apply one edit, drawn with equal or given weights."""

    edits: SequenceOf[Edit]
    weights: SequenceOf[float] | None = None

    def __post_init__(self) -> None:
        self.edits = _check_edits(self.edits)
        weights = (
            np.ones(len(self.edits))
            if self.weights is None
            else np.asarray(self.weights, dtype=np.float64)
        )
        if weights.shape != (len(self.edits),) or weights.min() < 0 or weights.sum() <= 0:
            raise AslError(
                f"weights: expected {len(self.edits)} numbers of 0 or more, one per edit, "
                f"got {self.weights}"
            )
        self._share = np.cumsum(weights / weights.sum())

    def __call__(self, view: View, rng: Rng) -> View:
        """Apply one."""
        chosen = int(np.searchsorted(self._share, rng.random(), side="right"))
        return self.edits[min(chosen, len(self.edits) - 1)](view, rng)


@dataclass
class SomeOf(Edit):
    """Apply between ``least`` and ``most`` of several edits, in random order."""

    edits: SequenceOf[Edit]
    least: int = 1
    most: int = 3

    def __post_init__(self) -> None:
        self.edits = _check_edits(self.edits)
        if not 0 <= self.least <= self.most <= len(self.edits):
            raise AslError(
                f"least, most: expected 0 <= least <= most <= {len(self.edits)}, "
                f"got least={self.least}, most={self.most}"
            )

    def __call__(self, view: View, rng: Rng) -> View:
        """Apply some."""
        count = int(rng.integers(self.least, self.most + 1))
        for index in rng.permutation(len(self.edits))[:count]:
            view = self.edits[int(index)](view, rng)
        return view
