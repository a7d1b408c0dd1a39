"""Parts of a training: built from their groups; wrong classes and keys are refused."""

from __future__ import annotations

from typing import Any

import pytest

from asl.cli import compose
from asl.edits.engine.edit_base import Edit
from asl.models import Embedder
from asl.training.parts import (
    build_edits,
    build_model,
    build_optimizer,
    build_score,
    check_parts,
    loss_factory,
)
from asl.types import UsageError

TINY = ["model.backbone=resnet10t", "model.pretrained=false", "model.size=32"]


def test_every_group_builds_its_part() -> None:
    config = compose("train", [*TINY, "optim.lr=0.25"])
    check_parts(config)
    embedder = build_model(config)
    assert isinstance(embedder, Embedder)
    assert embedder.preprocessing.size == 32
    loss = loss_factory(config, classes=5, dim=embedder.dim)()
    assert set(loss.weights) == {name for name, weight in config.loss["weights"].items() if weight}
    optimizer = build_optimizer(config)([{"params": list(embedder.parameters())}])
    assert optimizer.param_groups[0]["lr"] == 0.25
    assert isinstance(build_edits(config), Edit)
    assert build_score(config).mode == config.score["mode"]


def test_a_class_layer_has_a_row_for_every_training_image() -> None:
    config = compose("train", [*TINY, "loss=cosface"])
    shapes = {
        tuple(weight.shape) for weight in loss_factory(config, classes=7, dim=3)().parameters()
    }
    assert (7, 3) in shapes


def test_a_training_may_end_by_steps_or_time_before_its_epochs() -> None:
    for limits in ([], ["trainer.max_steps=-1"], ["trainer.max_steps=1"]):
        check_parts(compose("train", [*TINY, *limits, "trainer.max_time=00:08:00:00"]))


def test_what_belongs_to_another_group_is_refused() -> None:
    config = compose("train", TINY)
    config.model = {**config.model, "_target_": "asl.models.embedder.Recipe", "backbone": "x"}
    with pytest.raises(UsageError, match=r"model\._target_: "):
        check_parts(config)
    config = compose("train", TINY)
    config.score = {"_target_": "asl.scoring.normalization.ScoreNormalization"}
    with pytest.raises(UsageError, match=r"score\._target_: expected a Score, got asl\.scoring\."):
        build_score(config)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"logger": "clearml"}, r"trainer\.logger: expected one of"),
        ({"extra": {"plugins": []}}, r"trainer\.extra\.plugins: is set by asl itself"),
        ({"max_epochs": -1}, r"^trainer\.max_epochs: must be 1 or more, got -1; .*needs an end"),
        ({"max_epochs": 0}, r"^trainer\.max_epochs: must be 1 or more, got 0"),
        ({"max_steps": -2}, r"^trainer\.max_steps: must be 1 or more, got -2; give -1 to train"),
        ({"max_steps": 0}, r"^trainer\.max_steps: must be 1 or more, got 0"),
        ({"max_time": "1 h"}, r"^trainer\.max_time: expected DD:HH:MM:SS, got '1 h'; write"),
        ({"max_time": "00:00:00:00"}, r"^trainer\.max_time: expected DD:HH:MM:SS"),
    ],
)
def test_the_trainer_is_checked_before_anything_is_built(
    settings: dict[str, Any], message: str
) -> None:
    config = compose("train", TINY)
    for name, value in settings.items():
        setattr(config.trainer, name, value)
    with pytest.raises(UsageError, match=message):
        check_parts(config)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("optim.lr=-1", r"^optim: .*learning rate.*-1"),
        ("optim.betas=[2,3]", r"^optim: .*beta"),
        ("data.workers=-1", r"^data\.workers: must be 0 or more, got -1"),
        ("loss.weights.norm_ratio={a: 1}", r"^loss\.weights\.norm_ratio: expected a finite number"),
        ("loss.weights.norm_ratio=.nan", r"^loss\.weights\.norm_ratio: expected a finite number"),
    ],
)
def test_numbers_are_checked_before_anything_is_built(word: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_parts(compose("train", [*TINY, word]))


@pytest.mark.parametrize(
    ("word", "message"),
    [
        (
            "edits.edits.flip.p=3",
            r"^edits\.edits\.flip\.p: expected a probability in 0\.\.1, got 3$",
        ),
        (
            "edits.edits.crop.area=[1,2]",
            r"^edits\.edits\.crop\.area: expected two numbers in order",
        ),
        ("data.first_view=3", r"^data\.first_view: there is no recipe '3'; use .*disc_like"),
        ("score.lam=-1", r"^score\.lam, score\.tau: lam must be 0 or more"),
    ],
)
def test_a_value_that_a_class_refuses_is_named_by_its_key(word: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_parts(compose("train", [*TINY, "edits=moderate", word]))
