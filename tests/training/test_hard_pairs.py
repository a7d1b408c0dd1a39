"""Hard pairs through the whole command: from a CSV and a weight to the loss."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from asl.console.entry import compose
from asl.train import run


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
