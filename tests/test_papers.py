"""Experiments against a table of their papers' values; what differs is in docs/training.md."""

from __future__ import annotations

import math
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from asl.cli import compose
from asl.console.configuration import config_dir

PAGE = Path(__file__).parents[1] / "docs" / "training.md"
EXPERIMENTS = sorted(path.stem for path in (config_dir() / "experiment").glob("*.yaml"))


class Differs(NamedTuple):
    """A value that is not the paper's, and the words of docs/training.md that say so."""

    paper: Any
    here: Any
    words: str


D2LV: dict[str, Any] = {
    "model.backbone": "resnet50",
    "model.pretrained": Differs("Barlow Twins", True, "timm's ImageNet weights"),
    "model.full_last_stage": True,
    "model.wave": ["layer2", "layer3"],
    "model.pooling": "gem",
    "model.learned_p": True,
    "model.neck": "projector",
    "model.hidden": [4096],
    "model.dim": 8192,
    "model.slope": 0.2,
    "model.scale": True,
    "data.every": 10,
    "data.identities": 32,
    "data.views": 4,
    "data.first_view": "original",
    "data.sizes": [256],
    "data.pairs": 0,
    "data.hard_pairs_as": "none",
    "optim._target_": "torch.optim.Adam",
    "optim.lr": 3.5e-4,
    "loss.weights.cross_entropy": 10.0,
    "loss.weights.triplet": 1.0,
    "loss.weights.norm_ratio": 0.0,
    "loss.parts.cross_entropy.smoothing": 0.1,
    "trainer.max_steps": 200_000,
    "trainer.warmup": 0.2,
    "trainer.flat": 0.2,
    "trainer.final": 0.01,
    "trainer.gradient_clip_val": 0.0,
    "trainer.ema": 0.0,
    "trainer.backbone_rate": 1.0,
}
PAPERS: dict[str, dict[str, Any]] = {
    "d2lv": D2LV,
    "bot": D2LV,
    "asl": {
        **D2LV,
        "data.pairs": Differs("not public", None, "two of them per batch are [ours]"),
        "data.hard_pairs_as": Differs("not public", "classes", "hard pairs as classes"),
        "data.content": "area",
        "loss.weights.norm_ratio": Differs("not public", 1.0, "the weight of 1"),
        "loss.parts.norm_ratio.pairs": "published",
        "loss.parts.norm_ratio.form": "ratio",
        "score.mode": "paper",
        "score.tau": 0.0,
    },
    "sscd": {
        "model.backbone": "resnet50",
        "model.pretrained": False,
        "model.pooling": "gem",
        "model.neck": "linear",
        "model.dim": 512,
        "model.size": 288,
        "data.identities": Differs(4096, 128, "128 images per batch (4,096 there)"),
        "data.views": 2,
        "data.first_view": "edited",
        "data.sizes": [224],
        "data.hard_pairs_as": "none",
        "optim._target_": "timm.optim.Lars",
        "optim.lr": 0.3 * 128 / 256,
        "optim.momentum": 0.9,
        "optim.weight_decay": 1e-6,
        "loss.weights.infonce": 1.0,
        "loss.weights.koleo": 30.0,
        "loss.parts.infonce.temperature": 0.05,
        "trainer.max_epochs": 100,
        "trainer.warmup": 0.05,
        "trainer.final": 0.0,
        "trainer.gradient_clip_val": 0.0,
        "trainer.ema": 0.0,
    },
    "lyakaap": {
        "model.backbone": "tf_efficientnetv2_m.in21k_ft_in1k",
        "model.pretrained": True,
        "model.without": ["conv_head", "bn2"],
        "model.pooling": "avg",
        "model.neck": "linear_bn",
        "model.shift": True,
        "model.dim": 256,
        "data.identities": Differs(128, 32, "32 images per batch (128 there)"),
        "data.views": 2,
        "data.first_view": "moderate",
        "data.sizes": [256],
        "data.hard_pairs_as": "none",
        "optim._target_": "torch.optim.SGD",
        "optim.lr": 0.1 * 32 / 128,
        "optim.weight_decay": 1e-6,
        "loss.weights.contrastive": 1.0,
        "loss.parts.contrastive.size": 20_000,
        "loss.parts.contrastive.positive_margin": 0.0,
        "loss.parts.contrastive.negative_margin": 1.0,
        "trainer.gradient_clip_val": 0.0,
        "trainer.ema": 0.0,
    },
    "rdcd": {
        "model.backbone": "efficientnet_b0",
        "model.neck": Differs("512, then a projector", "linear", "straight to 256 dimensions"),
        "model.dim": 256,
        "data.identities": Differs(256, 64, "64 images per batch (256 there)"),
        "data.views": 2,
        "data.first_view": Differs("edited", "original", "first view un-edited"),
        "data.sizes": [224],
        "data.hard_pairs_as": "none",
        "optim._target_": "torch.optim.SGD",
        "optim.lr": 1.0 * 64 / 256,
        "loss.weights.queue": 1.0,
        "loss.weights.nearest": 5.0,
        "loss.weights.relational": 1.0,
        "loss.parts.queue.size": 65_536,
        "loss.parts.queue.temperature": 0.07,
        "loss.parts.relational.temperature": 0.04,
        "trainer.max_epochs": 100,
        "trainer.gradient_clip_val": 0.0,
        "trainer.ema": 0.0,
    },
    "copynce": {
        "model.backbone": "vit_small_patch16_224.dino",
        "model.pretrained": True,
        "model.pooling": "cls",
        "model.dim": 512,
        "data.identities": Differs(8 * 96, 48, "48 images per batch (8 × 96 there)"),
        "data.views": 2,
        "data.first_view": "original",
        "data.sizes": [224],
        "data.grid": 14,
        "data.hard_pairs_as": "none",
        "optim._target_": "torch.optim.AdamW",
        "optim.lr": 6e-4 * math.sqrt(48 * 2 / 1024),
        "optim.weight_decay": 0.04,
        "loss.weights.infonce": 1.0,
        "loss.weights.copynce": 5.0,
        "loss.weights.koleo": 5.0,
        "loss.parts.infonce.temperature": math.exp(-3.2),
        "loss.parts.infonce.learned": True,
        "loss.parts.copynce.scale": 16.0,
        "loss.parts.copynce.gamma": 3.0,
        "trainer.max_epochs": 30,
        "trainer.gradient_clip_val": 0.0,
        "trainer.ema": 0.0,
    },
}


def value_of(config: Any, key: str) -> Any:
    def step(node: Any, name: str) -> Any:
        return node[name] if isinstance(node, dict) else getattr(node, name)

    return reduce(step, key.split("."), config)


def test_every_paper_has_a_table() -> None:
    assert set(PAPERS) == set(EXPERIMENTS) - {"ndec"}, "`ndec` is ours"


@pytest.mark.parametrize("trainer", ["default", "gpu"])
@pytest.mark.parametrize("name", sorted(PAPERS))
def test_every_key_is_the_papers_or_in_the_table_of_differences(name: str, trainer: str) -> None:
    """A preset of hardware changes no key of a recipe."""
    words = ["data=ndec", "data.root=NDEC", f"experiment={name}", f"trainer={trainer}"]
    config = compose("train", words)
    page = " ".join(PAGE.read_text(encoding="utf-8").split())
    for key, expected in PAPERS[name].items():
        found = value_of(config, key)
        here = expected.here if isinstance(expected, Differs) else expected
        assert found == (pytest.approx(here, rel=2e-3) if isinstance(here, float) else here), key
        if isinstance(expected, Differs):
            assert expected.paper != expected.here
            assert expected.words in page, f"{name}, {key}: docs/training.md does not say it"


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_preset_of_hardware_touches_hardware_alone(name: str) -> None:
    words = ["data=ndec", "data.root=NDEC", f"experiment={name}"]
    plain = vars(compose("train", words).trainer)
    gpu = vars(compose("train", [*words, "trainer=gpu"]).trainer)
    changed = {key for key in plain if plain[key] != gpu[key]}
    assert changed <= {
        "accelerator",
        "devices",
        "strategy",
        "precision",
        "sync_batchnorm",
        "compile",
    }
