"""Keys that do not fit are refused before anything is trained; those of every experiment fit."""

from __future__ import annotations

from typing import Any

import pytest

from asl.cli import compose
from asl.console.configuration import config_dir
from asl.console.schemas.train_config import TrainConfig, TrainerConfig
from asl.training.checks import check_loss, check_validation
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
