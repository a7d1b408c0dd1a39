"""Keys that do not fit together, refused before a training starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from asl.console.schemas.train_config import TrainConfig, TrainerConfig
from asl.console.targets import resolve
from asl.losses import WeightedSum
from asl.losses.classification import ClassWeights
from asl.training.parts import LOSS, OPTIM
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

# Optimisers that treat each number alone; the others take norms of a whole tensor.
_ELEMENTWISE = (
    torch.optim.SGD,
    torch.optim.Adam,
    torch.optim.AdamW,
    torch.optim.NAdam,
    torch.optim.RAdam,
    torch.optim.RMSprop,
    torch.optim.Adagrad,
)


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
    """Check the keys of what is watched during training, above all ``data.validation``.

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
    if not 0 <= trainer.view_grid <= 64:
        raise UsageError(f"trainer.view_grid: must be in 0..64, got {trainer.view_grid}")
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


def check_groups(loss: WeightedSum, groups: torch.Tensor | None) -> None:
    """Check that every loss leaves the negatives of one group out, where there are groups.

    Args:
        loss: of the training.
        groups: of the training images; None where each is its own.

    Raises:
        UsageError: a loss cannot (``heeds_groups`` is False); it is named.
    """
    for name, part in loss.parts.items() if groups is not None else ():
        if not getattr(part, "heeds_groups", True):
            raise UsageError(
                f"data.hard_pairs_as: loss.parts.{name} cannot leave the pairs out of its "
                "negatives, as positives asks; choose negatives, or a loss over pairs or triplets"
            )


def check_shards(config: TrainConfig, *, processes: int) -> None:
    """Check that class weights can be split over the processes, where that is asked for.

    Args:
        config: of the training.
        processes: number of processes.

    Raises:
        UsageError: one process, no class weights, or a key that splitting does not support.
    """
    trainer = config.trainer
    if not trainer.shard_classes:
        return
    key = "trainer.shard_classes"
    weights, parts = config.loss.get("weights", {}), config.loss.get("parts", {})
    counted = [name for name in parts if weights.get(name)]
    if not any(issubclass(_loss_class(parts[name]), ClassWeights) for name in counted):
        raise UsageError(
            f"{key}: none of the losses {', '.join(counted)} has class weights of its own to "
            "split; leave it out, or choose CosFace, ArcFace or SmoothedCrossEntropy"
        )
    if processes < 2:
        raise UsageError(
            f"{key}: splits class weights over several devices, got trainer.devices="
            f"{trainer.devices}; set trainer.devices and trainer.strategy=ddp, or leave it out"
        )
    if trainer.strategy != "auto" and not trainer.strategy.startswith("ddp"):
        raise UsageError(f"{key}: needs trainer.strategy=ddp, got {trainer.strategy}")
    if trainer.precision in ("16-mixed", "16"):
        raise UsageError(
            f"{key}: trainer.precision={trainer.precision} skips steps in one process alone; use "
            "bf16-mixed or 32-true"
        )
    optimizer = resolve(config.optim.get("_target_"), OPTIM)
    if optimizer not in _ELEMENTWISE:
        names = ", ".join(known.__name__ for known in _ELEMENTWISE)
        raise UsageError(
            f"{key}: {config.optim['_target_']} may take the norm of a whole tensor, which no "
            f"process holds; choose one of torch.optim: {names}"
        )


def _loss_class(part: Mapping[str, Any]) -> type:
    found = resolve(part["_target_"], LOSS.inside("loss.parts"))
    return found if isinstance(found, type) else object


def _attribute(part: Mapping[str, Any], name: str, default: Any) -> Any:
    """Return an attribute of the class of a loss."""
    return getattr(_loss_class(part), name, default)
