"""Keys that do not fit together, found before a training starts and not after it was for nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asl.console.targets import resolve
from asl.training.parts import LOSS
from asl.types import UsageError

# Field of the loss inputs -> the key that gives it, how to give it, and whether it is of use to
# such losses alone.
_KEYS = {
    "overlaps": ("data.grid", "set it to the side of the model's patch grid", True),
    "teacher": ("teacher", "set teacher=MODEL", True),
    "pair_index": (
        "data.pairs",
        "set data.pairs and, where the data has none, data.hard_pairs=FILE",
        False,
    ),
}


def check_loss(loss: Mapping[str, Any], *, grid: int, teacher: str | None, pairs: int) -> None:
    """Every counted part of the loss gets what it needs, and what is given is used.

    A part of weight 0 uses what it would need: a sweep over its weight keeps the other keys as they
    are.

    Args:
        loss: the ``loss`` group: ``parts`` with a ``_target_`` each, and their ``weights``.
        grid: ``data.grid``.
        teacher: of distillation.
        pairs: hard pairs in a batch.

    Raises:
        UsageError: the key is named, and what to do.
    """
    given = {"overlaps": grid > 0, "teacher": teacher is not None, "pair_index": pairs > 0}
    weights = loss.get("weights", {})
    needs = {name: _needs(part) for name, part in loss.get("parts", {}).items()}
    for field, (key, remedy, alone) in _KEYS.items():
        users = [name for name in needs if field in needs[name]]
        counted = [name for name in users if weights.get(name)]
        if counted and not given[field]:
            raise UsageError(
                f"{key}: loss.weights.{counted[0]}={weights[counted[0]]} needs it; {remedy}"
            )
        if given[field] and alone and not users:
            raise UsageError(
                f"{key}: none of the losses {', '.join(needs)} reads it; leave it out or choose another loss"
            )


def check_watch(*, every: int, epochs: int, watched: bool) -> None:
    """A validation benchmark is looked at in at least one epoch.

    Args:
        every: ``trainer.check_every``.
        epochs: ``trainer.max_epochs``.
        watched: whether there is a validation benchmark.

    Raises:
        UsageError: it never would be.
    """
    if watched and not 1 <= every <= epochs:
        raise UsageError(
            f"trainer.check_every: {every} never comes in trainer.max_epochs={epochs}, so that data.validation would not "
            f"be looked at; set it to 1..{epochs}"
        )


def _needs(part: Mapping[str, Any]) -> tuple[str, ...]:
    """Fields of the loss inputs that a class of losses says it needs; nothing where it says nothing."""
    found: tuple[str, ...] = getattr(
        resolve(part["_target_"], LOSS.inside("loss.parts")), "needs", ()
    )
    return found
