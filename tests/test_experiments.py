"""Compose every experiment and take one real step with its model, loss, edits and optimiser."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from asl.cli import compose
from asl.console.configuration import config_dir
from asl.data.catalog import open_catalog
from asl.data.scenes import render_scene
from asl.data.training_set import HardPairs
from asl.data.training_sources import Sources
from asl.models import build_embedder, save_embedder
from asl.training.parts import build_model
from asl.training.run_training import smaller_than_trained, train_module

EXPERIMENTS = sorted(path.stem for path in (config_dir() / "experiment").glob("*.yaml"))
WITH_PAIRS = {"asl", "ndec"}
# Small stand-ins of the same family: the step is real, the size is not.
SMALL = {
    "resnet50": ("resnet10t", {}),
    "tf_efficientnetv2_m.in21k_ft_in1k": ("efficientnetv2_rw_t", {}),
    "efficientnet_b0": ("mobilenetv3_small_050", {}),
    "vit_small_patch16_224.dino": (
        "vit_tiny_patch16_224",
        {"model.options.img_size": 64, "data.grid": 4},
    ),
    "vit_base_patch16_224.dino": ("vit_tiny_patch16_224", {"data.pairs": 1}),
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for number in range(8):
        cv2.imwrite(
            str(folder / f"{number}.jpg"), render_scene(number, height=80, width=96)[..., ::-1]
        )
    return folder


def test_there_is_one_for_every_method_that_we_compare_with() -> None:
    assert {"asl", "d2lv", "bot", "sscd", "lyakaap", "rdcd", "copynce", "ndec"} <= set(EXPERIMENTS)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_what_is_trained_and_what_is_scored_belong_together(name: str) -> None:
    config = compose("train", ["data=ndec", "data.root=NDEC", "trainer=gpu", f"experiment={name}"])
    assert smaller_than_trained(config) is None
    assert (config.data.hard_pairs_as != "none") == (name in WITH_PAIRS), (
        "a paper without hard pairs is trained without"
    )


@pytest.mark.slow
@pytest.mark.parametrize("asl", [False, True], ids=["as published", "with ASL"])
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_one_step(name: str, asl: bool, photos: Path, tmp_path: Path) -> None:
    whole = compose("train", [f"experiment={name}"])
    backbone, extra = SMALL[whole.model["backbone"]]
    overrides = {
        "model.backbone": backbone,
        "model.pretrained": "false",
        "model.size": 64,
        "data.sizes": "[64]",
        "data.size_starts": "[0]",
        "data.identities": 4,
        "data.workers": 0,
        "trainer.max_steps": 1,
        "trainer.enable_progress_bar": "false",
        "trainer.accelerator": "cpu",
        "trainer.log_every_n_steps": 1,
        "trainer.sync_batchnorm": "false",
        **extra,
    }
    if asl:
        overrides["loss.weights.norm_ratio"] = 1.0
    if name == "rdcd":
        teacher = build_embedder(backbone="mobilenetv3_small_050", size=64, dim=16)
        save_embedder(teacher, tmp_path / "teacher.safetensors", card={})
        overrides["teacher"] = str(tmp_path / "teacher.safetensors")
    config = compose(
        "train",
        [
            *("data=folder", "data.train=X"),
            f"experiment={name}",
            *(f"{key}={value}" for key, value in overrides.items()),
        ],
    )
    torch.manual_seed(0)
    before = {key: value.clone() for key, value in build_model(config).state_dict().items()}
    pairs = (
        HardPairs(np.array([[0, 1], [2, 3]]), np.zeros(2, dtype=bool))
        if config.data.pairs
        else None
    )
    module = train_module(
        config,
        Sources(open_catalog(photos), pairs, None, None, config.data.pairs or 0),
        tmp_path / "run",
    )
    after = module.embedder.state_dict()
    assert set(after) == set(before)
    assert all(torch.isfinite(value).all() for value in after.values() if value.is_floating_point())
    weights = module.loss.weights
    assert ("norm_ratio" in weights) == (asl or name in ("asl", "ndec")), (
        "one word puts ASL on top of any of them"
    )
    assert module.trainer.global_step == 1
