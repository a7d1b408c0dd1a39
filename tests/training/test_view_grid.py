"""The picture of the views: one row a source, foreign pixels tinted, content as caption."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from asl.data.catalog import open_catalog
from asl.data.datamodule import CopyDataModule
from asl.data.training_set import Draw, HardPairs, TrainingSet, ViewPlan
from asl.edits import View
from asl.edits.geometric import Pad
from asl.edits.recipes import load_recipe
from asl.training.view_grid import chosen_draws, marked, view_row, write_view_grid

GREEN = np.array([40, 200, 80])


def test_a_picture_has_a_row_for_each_source(photos: Path, tmp_path: Path) -> None:
    plan = ViewPlan(recipe=load_recipe("disc_like"), views=3, sizes={0: 64})
    pairs = HardPairs(np.array([[0, 1]]), np.zeros(1, bool))
    data = CopyDataModule(
        TrainingSet(open_catalog(photos), plan), identities=6, hard_pairs=pairs, pairs=1
    )
    write_view_grid(data, tmp_path / "views.jpg", sources=4)
    picture = cv2.imread(str(tmp_path / "views.jpg"))
    assert picture is not None
    assert picture.shape == (4 * 166, 3 * 148, 3)
    assert (tmp_path / "views.jpg").stat().st_size < 200_000
    draws = data.first_draws()
    assert draws[-1].paired
    assert [draw.row for draw in draws[-2:]] == [0, 1]
    batch = next(iter(data.train_dataloader()))
    assert batch["source"].tolist()[::3] == [draw.row for draw in draws], "the first batch"


def test_both_ends_of_a_batch_are_shown() -> None:
    draws = [Draw(row, 0) for row in range(9)]
    assert [draw.row for draw in chosen_draws(draws, 5)] == [0, 1, 2, 7, 8]
    assert chosen_draws(draws, 1) == draws[:1]
    assert chosen_draws(draws, 20) == draws


def test_foreign_pixels_are_red_and_the_edge_of_the_original_green() -> None:
    gray = View.original(np.full((96, 96, 3), 120, np.uint8))
    assert (marked(gray) == 120).all(), "all of it is the original's"
    padded = Pad(share=(0.3, 0.3))(gray, np.random.default_rng(0)).resized(96, 96)
    picture = marked(padded)
    plain = cv2.resize(padded.image, (144, 144), interpolation=cv2.INTER_AREA)
    edge = (picture == GREEN).all(axis=2)
    tinted = (picture != plain).any(axis=2) & ~edge
    assert abs(tinted.mean() - (1 - padded.cover)) < 0.05
    redder = picture.astype(int) - plain
    assert (redder[tinted][:, 0] > redder[tinted][:, 1]).mean() > 0.5
    assert 0 < edge.mean() < 0.1
    row = view_row([gray, padded], "visible")
    assert row.shape == (166, 296, 3)
    assert (row[144:162, :148] == 0).any(), "a caption"
