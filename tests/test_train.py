"""The command: one seed, one model, weights that start at random included."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest
import torch

from asl.data.scenes import render_scene
from asl.entry import compose
from asl.models import load_embedder
from asl.train import run


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for number in range(8):
        cv2.imwrite(str(folder / f"{number}.png"), render_scene(number, height=64, width=80)[..., ::-1])
    return folder


def trained(photos: Path, output: Path, seed: int) -> dict[str, torch.Tensor]:
    keys = ["data=folder", f"data.train={photos}", "data.identities=4", "data.views=2", "data.workers=0"]
    keys += ["data.sizes=[32]", "data.size_starts=[0]", "trainer.max_steps=1", "trainer.progress=false"]
    keys += ["model.backbone=mobilenetv3_small_050", "model.pretrained=null", "model.size=32", "loss=cosface_asl"]
    torch.randn(seed + 3)  # whatever was drawn before must not matter
    assert run(compose("train", [*keys, f"seed={seed}", f"output={output}"])) == 0
    return load_embedder(output).state_dict()


@pytest.mark.filterwarnings("ignore")
def test_a_seed_makes_one_model(photos: Path, tmp_path: Path) -> None:
    first, again, other = (trained(photos, tmp_path / name, seed) for name, seed in (("a", 0), ("b", 0), ("c", 1)))
    for name, value in first.items():
        torch.testing.assert_close(value, again[name], rtol=0, atol=0, msg=name)
    assert any(not torch.equal(value, other[name]) for name, value in first.items())
