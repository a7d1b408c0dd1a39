"""Parts of a training that a configuration names: their slots, checked before anything is built."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from asl.console.key_names import keys_named
from asl.console.schemas.train_config import TrainConfig
from asl.console.targets import Slot, build, check
from asl.edits.engine.edit_base import Edit
from asl.edits.recipes import EDITS, load_recipe
from asl.losses import WeightedSum
from asl.models import Embedder
from asl.models.recipe import Recipe
from asl.scoring.normalization import ScoreNormalization
from asl.scoring.score import Score
from asl.training.lightning_trainer import check_length, trainer_extra
from asl.training.loggers import check_logger
from asl.training.number_limits import check_limits
from asl.training.schedule import OptimizerFactory
from asl.types import UsageError

MODEL = Slot(
    "model",
    "an embedder or its builder",
    packages=("asl.models",),
    bases=(Embedder,),
    functions=frozenset({"asl.models.initial_weights.build_embedder"}),
    keywords=Recipe,
)
# Modules of pytorch-metric-learning that define losses and what they are made of.
_METRIC_LEARNING = tuple(
    f"pytorch_metric_learning.{name}"
    for name in ("losses", "miners", "distances", "reducers", "regularizers")
)
LOSS = Slot(
    "loss",
    "a weighted sum of losses",
    packages=("asl.losses", *_METRIC_LEARNING),
    bases=(WeightedSum,),
    parts=(nn.Module,),
    given=frozenset({"classes", "dim"}),
)
OPTIM = Slot(
    "optim",
    "an optimiser (torch.optim.Optimizer)",
    packages=("torch.optim", "timm.optim"),
    bases=(Optimizer,),
    given=frozenset({"params"}),
)
SCORE = Slot("score", "a score", packages=("asl.scoring",), bases=(Score, ScoreNormalization))
SLOTS = (MODEL, LOSS, OPTIM, EDITS, SCORE)


def check_parts(config: TrainConfig) -> None:
    """Check the numbers, and groups with a ``_target_``: allowed classes, keys, values.

    Edits and score are built, as their classes check their values; model and loss take longer.

    Raises:
        UsageError: naming the key.
    """
    for slot in SLOTS:
        check(getattr(config, slot.key), slot, "train")
    trainer_extra(config.trainer.extra)
    check_logger(config.trainer.logger, output=config.output)
    check_length(config.trainer)
    check_limits(config)
    _check_optimizer(config)
    build_first_view(config, build_edits(config))
    build_score(config)


def _check_optimizer(config: TrainConfig) -> None:
    """Build the optimiser of one weight: torch checks the values when it is made."""
    try:
        build_optimizer(config)([nn.Parameter(torch.zeros(1, 1))])
    except (ValueError, TypeError) as error:
        raise UsageError(f"optim: {' '.join(str(error).split())}; change its keys") from error


def build_model(config: TrainConfig) -> Embedder:
    """Build the embedder, with the initial weights that the configuration names."""
    embedder = build(config.model, MODEL)
    if not isinstance(embedder, Embedder):
        made = type(embedder).__name__
        raise UsageError(f"model._target_: expected an Embedder from {MODEL.key}, got a {made}")
    return embedder


def loss_factory(config: TrainConfig, *, classes: int, dim: int) -> Callable[[], WeightedSum]:
    """Return a function that builds the loss for ``classes`` images and features of ``dim``."""
    factory = partial(build, config.loss, LOSS, classes=classes, dim=dim)
    return partial(factory, sharded=True) if config.trainer.shard_classes else factory


def build_optimizer(config: TrainConfig) -> OptimizerFactory:
    """Return the optimiser's class with its constants, which wants the parameters."""
    factory: OptimizerFactory = build({**config.optim, "_partial_": True}, OPTIM)
    return factory


def build_edits(config: TrainConfig) -> Edit:
    """Build the recipe of the views."""
    recipe: Edit = build(config.edits, EDITS)
    return recipe


def build_first_view(config: TrainConfig, recipe: Edit) -> Edit | None:
    """Build the edit of the first view of each source image; None where it has none.

    Args:
        config: of the training.
        recipe: edit of the other views.
    """
    name = config.data.first_view
    if name in ("original", "edited"):
        return recipe if name == "edited" else None
    with keys_named({"name": "data.first_view"}):
        return load_recipe(name)


def build_score(config: TrainConfig) -> Score:
    """Build the score that validation and the final benchmark use."""
    values: dict[str, Any] = config.score
    score = build(values, SCORE)
    if not isinstance(score, Score):
        raise UsageError(f"score._target_: expected a Score, got {values['_target_']}")
    return score
