"""Keys that do not fit together, refused before a training starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asl.console.schemas.train_config import TrainerConfig
from asl.console.targets import resolve
from asl.training.parts import LOSS
from asl.types import UsageError

# Field of the loss inputs -> the key that gives it, how to give it, and whether no other losses use
# it.
_KEYS = {
    "overlaps": ("data.grid", "set it to the side of the model's patch grid", True),
    "teacher": ("teacher", "set teacher=MODEL", True),
    "pair_index": (
        "data.pairs",
        "set data.pairs and, where the data has none, data.hard_pairs=FILE",
        False,
    ),
}


def check_loss(
    loss: Mapping[str, Any],
    *,
    grid: int,
    teacher: str | None,
    pairs: int,
    pairs_as: str = "negatives",
) -> None:
    """Check that every loss with a weight gets its inputs, and that every input is used.

    A part of weight 0 counts as a user of its inputs: a sweep over its weight needs no other key.

    Args:
        loss: the ``loss`` group: ``parts`` with a ``_target_`` each, and their ``weights``.
        grid: ``data.grid``.
        teacher: of distillation.
        pairs: hard pairs in a batch.
        pairs_as: ``data.hard_pairs_as``.

    Raises:
        UsageError: an input is missing, unused, or of another meaning; the key is named.
    """
    given = {"overlaps": grid > 0, "teacher": teacher is not None, "pair_index": pairs > 0}
    weights = loss.get("weights", {})
    parts = loss.get("parts", {})
    needs: dict[str, tuple[str, ...]] = {
        name: _attribute(part, "needs", ()) for name, part in parts.items()
    }
    for field, (key, remedy, exclusive) in _KEYS.items():
        users = [name for name in needs if field in needs[name]]
        counted = [name for name in users if weights.get(name)]
        if counted and not given[field]:
            weight = weights[counted[0]]
            raise UsageError(f"{key}: loss.weights.{counted[0]}={weight} needs it; {remedy}")
        if given[field] and exclusive and not users:
            raise UsageError(
                f"{key}: none of the losses {', '.join(needs)} reads it; leave it out or choose "
                "another loss"
            )
    for name, part in parts.items():
        meaning = _attribute(part, "pairs_as", pairs_as)
        if weights.get(name) and meaning != pairs_as:
            raise UsageError(
                f"data.hard_pairs_as: loss.weights.{name}={weights[name]} needs {meaning}, got "
                f"{pairs_as}; set data.hard_pairs_as={meaning}"
            )


def check_validation(trainer: TrainerConfig, *, given: bool) -> None:
    """Check the keys that need ``data.validation``, and that it is evaluated at least once.

    Args:
        trainer: the ``trainer`` group.
        given: True where there is a validation benchmark.

    Raises:
        UsageError: the key is named.
    """
    if trainer.select not in ("last", "best"):
        raise UsageError(f"trainer.select: expected last or best, got {trainer.select!r}")
    if trainer.patience < 0:
        raise UsageError(f"trainer.patience: must be 0 or more, got {trainer.patience}")
    used = [
        key
        for key, is_used in (
            ("trainer.select=best", trainer.select == "best"),
            (f"trainer.patience={trainer.patience}", trainer.patience > 0),
        )
        if is_used
    ]
    if used and not given:
        raise UsageError(f"{used[0]}: needs a validation benchmark; set data.validation=FOLDER")
    if given and not 1 <= trainer.check_every <= trainer.max_epochs:
        raise UsageError(
            f"trainer.check_every: {trainer.check_every} never comes in trainer.max_epochs="
            f"{trainer.max_epochs}, so data.validation would not be evaluated; set it to "
            f"1..{trainer.max_epochs}"
        )


def _attribute(part: Mapping[str, Any], name: str, default: Any) -> Any:
    """Return an attribute of the class of a loss."""
    return getattr(resolve(part["_target_"], LOSS.inside("loss.parts")), name, default)
