"""Keys that do not fit are refused before anything is trained; those of every experiment fit."""

from __future__ import annotations

from typing import Any

import pytest

from asl.cli import compose
from asl.console.configuration import config_dir
from asl.console.schemas.train_config import TrainConfig, TrainerConfig
from asl.training.checks import check_loss, check_shards, check_validation
from asl.types import UsageError

EXPERIMENTS = sorted(path.stem for path in (config_dir() / "experiment").glob("*.yaml"))
GIVEN: dict[str, Any] = {"grid": 0, "teacher": None, "pairs": 0}


def check(overrides: list[str], **given: Any) -> None:
    config: TrainConfig = compose("train", overrides)
    check_loss(config.loss, **{**GIVEN, "grid": config.data.grid, **given})


@pytest.mark.parametrize(
    ("overrides", "given", "message"),
    [
        (["data.grid=7"], {}, r"data\.grid: none of the losses infonce, .* reads it; leave it out"),
        ([], {"teacher": "x"}, r"teacher: none of the losses infonce, .* reads it; leave it out"),
        (
            ["loss=copynce"],
            {},
            r"data\.grid: loss\.weights\.copynce=5\.0 needs it; set it to the side",
        ),
        (["loss=rdcd"], {}, r"teacher: loss\.weights\.relational=1\.0 needs it; set teacher=MODEL"),
        (
            ["loss.weights.push_apart=1"],
            {},
            r"data\.pairs: loss\.weights\.push_apart=1 needs it; set data\.pairs",
        ),
        (
            ["loss=infonce", "loss.weights.hold_together=2"],
            {},
            r"data\.pairs: loss\.weights\.hold_together=2 needs it",
        ),
        (
            ["loss=ce_triplet", "loss.weights.hold_together=1"],
            {"pairs": 2, "pairs_as": "classes"},
            r"data\.hard_pairs_as: loss\.weights\.hold_together=1 needs positives, got classes",
        ),
        (
            ["loss.weights.push_apart=1"],
            {"pairs": 2, "pairs_as": "positives"},
            r"loss\.weights\.push_apart=1 needs negatives, got positives; set data\.hard_pairs_as",
        ),
    ],
)
def test_a_key_without_its_loss_and_a_loss_without_its_key(
    overrides: list[str], given: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        check(overrides, **given)


def test_what_fits_passes() -> None:
    for name in EXPERIMENTS:
        check(
            [f"experiment={name}"],
            pairs_as=compose("train", [f"experiment={name}"]).data.hard_pairs_as,
            teacher="x" if name == "rdcd" else None,
            pairs=32 if name == "ndec" else 0,
        )
    check([], pairs=4)
    check(["loss.weights.push_apart=1"], pairs=4)
    check(
        ["experiment=copynce", "loss.weights.copynce=0"]
    )  # a sweep down to 0 needs no second change


@pytest.mark.parametrize("every", [5, 0, -1])
def test_a_check_that_never_comes_is_refused(every: int) -> None:
    trainer = TrainerConfig(max_epochs=4, check_every=every)
    check_validation(trainer, given=False)
    message = rf"trainer\.check_every: {every} never comes in trainer\.max_epochs=4.*1\.\.4"
    with pytest.raises(UsageError, match=message):
        check_validation(trainer, given=True)
    check_validation(TrainerConfig(max_epochs=4, check_every=4), given=True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"select": "best"}, r"trainer\.select=best: needs a validation benchmark"),
        ({"patience": 2}, r"trainer\.patience=2: needs a validation benchmark"),
        ({"select": "first"}, r"trainer\.select: expected last or best, got 'first'"),
        ({"patience": -1}, r"trainer\.patience: must be 0 or more, got -1"),
    ],
)
def test_what_needs_a_validation_says_so(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_validation(TrainerConfig(**settings), given=False)


@pytest.mark.parametrize(
    ("overrides", "processes", "message"),
    [
        (["loss=asl"], 4, r"trainer\.shard_classes: none of the losses infonce, .* class weights"),
        (
            ["loss=ce_triplet", "loss.weights.cross_entropy=0"],
            4,
            r"trainer\.shard_classes: none of the losses triplet",
        ),
        (
            ["loss=cosface"],
            1,
            r"over several devices, got trainer\.devices=1; set",
        ),
        (["loss=cosface", "trainer.strategy=fsdp"], 4, r"needs trainer\.strategy=ddp, got fsdp"),
        (["loss=cosface", "trainer.precision=16-mixed"], 4, r"use bf16-mixed or 32-true"),
        (
            ["loss=cosface", "optim=lars"],
            4,
            r"timm\.optim\.Lars may take the norm of a whole",
        ),
    ],
)
def test_classes_are_split_only_where_that_is_one_training(
    overrides: list[str], processes: int, message: str
) -> None:
    config = compose("train", [*overrides, "trainer.shard_classes=true"])
    with pytest.raises(UsageError, match=message):
        check_shards(config, processes=processes)
    check_shards(compose("train", overrides), processes=processes)


@pytest.mark.parametrize("name", ["d2lv", "asl", "bot"])
def test_classes_of_the_papers_with_classes_can_be_split(name: str) -> None:
    words = [f"experiment={name}", "trainer=gpu", "trainer.strategy=ddp", "trainer.devices=4"]
    check_shards(compose("train", [*words, "trainer.shard_classes=true"]), processes=4)


def test_the_picture_of_views_has_a_size() -> None:
    for value in (-1, 65):
        with pytest.raises(UsageError, match=r"trainer\.view_grid: must be in 0\.\.64"):
            check_validation(TrainerConfig(view_grid=value), given=False)
