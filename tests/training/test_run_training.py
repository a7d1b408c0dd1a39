"""A configuration becomes a training: its views, its losses, and when it is resumed."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from asl.cli import compose
from asl.data.scenes import render_scene
from asl.data.training_sources import open_sources
from asl.storage import exclusive_lock
from asl.train import run
from asl.training.checkpoints import LAST
from asl.training.run_training import (
    check_settings,
    smaller_than_trained,
    view_plan,
    with_new_names,
    write_config,
)
from asl.types import AslError, UsageError
from tests.training.small_training import command_keys


def test_overlays_are_decoded_at_what_the_largest_views_use(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.jpg"), render_scene(0, height=600, width=800)[..., ::-1])
    keys = ["data=folder", f"data.train={tmp_path}", "data.sizes=[32,64]", "data.size_starts=[0,3]"]
    config = compose("train", keys)
    drawn = view_plan(config, open_sources(config.data)).pool.draw(np.random.default_rng(0))
    assert drawn.shape == (150, 200, 3), "a quarter: an eighth would leave fewer than 128"


def first_losses(photos: Path, output: Path, directed: int, *more: str) -> dict[str, float]:
    """Return the logged losses of the first step of the command, with two pairs in a batch."""
    pairs = photos / "pairs.csv"
    pairs.write_text(f"first,second,directed\n0.png,1.png,{directed}\n2.png,3.png,{directed}\n")
    keys = [
        "data=folder",
        f"data.train={photos}",
        f"data.hard_pairs={pairs}",
        "data.identities=8",
        "data.views=2",
    ]
    keys += [
        "data.workers=0",
        "data.sizes=[32]",
        "data.size_starts=[0]",
        "model.size=32",
        "model.pretrained=false",
    ]
    keys += [
        "trainer.max_steps=1",
        "trainer.log_every_n_steps=1",
        "trainer.enable_progress_bar=false",
        f"output={output}",
    ]
    assert run(compose("train", [*keys, "model.backbone=mobilenetv3_small_050", *more])) == 0
    with (output / "metrics.csv").open() as file:
        row = next(csv.DictReader(file))
    return {
        name.removeprefix("train/"): float(value)
        for name, value in row.items()
        if name.startswith("train/")
    }


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("loss", "part", "more"),
    [
        # A margin of -1: untrained features of two images may lie farther apart than the loss asks.
        ("asl", "push_apart", ["loss.parts.push_apart.margin=-1"]),
        ("infonce", "hold_together", ["data.hard_pairs_as=positives"]),
    ],
)
def test_a_loss_on_hard_pairs_is_a_weight_away(
    photos: Path, tmp_path: Path, loss: str, part: str, more: list[str]
) -> None:
    without = first_losses(photos, tmp_path / "a", 0, f"loss={loss}", *more)
    assert part not in without, "a part of weight 0 is not computed"
    given = first_losses(photos, tmp_path / "b", 0, f"loss={loss}", f"loss.weights.{part}=2", *more)
    assert given[part] > 0
    assert given["loss"] == pytest.approx(without["loss"] + 2 * given[part], rel=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_a_direction_in_the_list_reaches_the_loss(photos: Path, tmp_path: Path) -> None:
    unordered, ordered = (
        first_losses(
            photos,
            tmp_path / str(directed),
            directed,
            "loss.weights.hold_together=1",
            "data.hard_pairs_as=positives",
        )["hold_together"]
        for directed in (0, 1)
    )
    # The mean of exp(1 - |f_a| / |f_b|) comes on top, about 1 for the norms of an untrained
    # network.
    assert ordered - unordered == pytest.approx(1.0, abs=0.3)


def test_an_extraction_smaller_than_the_training_is_said() -> None:
    def said(*more: str) -> str | None:
        return smaller_than_trained(
            compose(
                "train",
                [
                    *("data=folder", "data.train=X"),
                    *("data.sizes=[64,96]", "data.size_starts=[0,3]"),
                    *more,
                ],
            )
        )

    assert (
        said("model.size=80")
        == "trained on 96 pixels and embedded at 80: did you mean model.size=96?"
    )
    assert said("model.size=80", "trainer.max_epochs=3") is None, "the second size is never reached"
    assert said("model.size=96") is None
    assert said("model.size=128") is None


def test_other_settings_are_refused_once_there_is_a_checkpoint(tmp_path: Path) -> None:
    before = compose("train", ["data=folder", "data.train=a", "optim.lr=0.25"])
    after = compose("train", ["data=folder", "data.train=b", "optim.lr=0.5", "data.workers=3"])
    write_config(before, tmp_path)
    check_settings(after, tmp_path)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / LAST).touch()
    with pytest.raises(UsageError, match=r"other settings \(optim\.lr was 0\.25\); set them back"):
        check_settings(after, tmp_path)
    check_settings(before, tmp_path)


def test_settings_of_an_earlier_version_are_read_with_today_s_names() -> None:
    settings = {"trainer.epochs": 3, "optim.lr": 0.1}
    assert with_new_names(settings) == {"trainer.max_epochs": 3, "optim.lr": 0.1}


def test_a_second_training_into_one_output_is_refused(photos: Path, tmp_path: Path) -> None:
    config = compose("train", [*command_keys(photos), f"output={tmp_path}"])
    with (
        exclusive_lock(tmp_path / ".lock", busy="free"),
        pytest.raises(AslError, match="another training writes into it; wait for it, or choose"),
    ):
        run(config)
    assert not (tmp_path / "config.yaml").exists(), "the refused training wrote nothing"
