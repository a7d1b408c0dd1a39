"""Saved embedders come back the same; files that are none are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch.nn import functional as F

from asl.models import build_embedder, load_embedder, model_hash, save_embedder
from asl.models.model_card import read_card
from asl.types import AslError, UsageError
from tests.models.small_model import TINY, images


@pytest.mark.parametrize("norm_head", [False, True])
@pytest.mark.parametrize("neck", ["linear_bn", "linear", "bn", "projector", "none"])
def test_a_saved_embedder_comes_back_the_same(tmp_path: Path, neck: str, norm_head: bool) -> None:
    embedder = build_embedder(**TINY, neck=neck, norm_head=norm_head, hidden=[32]).eval()
    save_embedder(embedder, tmp_path / "model.safetensors", card={"note": "x"})
    again = load_embedder(tmp_path / "model.safetensors")
    assert torch.equal(embedder(images()), again(images()))
    assert model_hash(embedder) == model_hash(again)
    assert read_card(tmp_path / "model.safetensors") == {"note": "x"}
    assert load_embedder(tmp_path).preprocessing.size == 64, "the folder of a training will do"
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"], (
        "no temporary file is left"
    )


def test_a_recipe_that_was_saved_before_these_options_loads(tmp_path: Path) -> None:
    embedder = build_embedder(**TINY, neck="projector", hidden=[32]).eval()
    save_embedder(embedder, tmp_path / "model.safetensors", card={})
    with safe_open(tmp_path / "model.safetensors", framework="pt") as file:
        metadata = file.metadata()
    del metadata["sha256"]
    recipe = json.loads(metadata["recipe"])
    older = {name: value for name, value in recipe.items() if name not in ("slope", "scale")}
    weights = {name: value.contiguous() for name, value in embedder.state_dict().items()}
    save_file(
        weights, tmp_path / "old.safetensors", metadata={**metadata, "recipe": json.dumps(older)}
    )
    again = load_embedder(tmp_path / "old.safetensors")
    assert torch.equal(embedder(images()), again(images()))
    assert model_hash(embedder) == model_hash(again)


def test_a_saved_model_keeps_its_hash(tmp_path: Path) -> None:
    embedder = build_embedder(
        backbone="mobilenetv3_small_050", size=32, dim=8, hidden=(64,), norm_head=True
    ).eval()
    save_embedder(embedder, tmp_path / "m.safetensors", card={})
    assert model_hash(load_embedder(tmp_path / "m.safetensors")) == model_hash(embedder)
    other = build_embedder(
        backbone="mobilenetv3_small_050", size=48, dim=8, hidden=(64,), norm_head=True
    ).eval()
    other.load_state_dict(embedder.state_dict())
    assert model_hash(other) != model_hash(embedder), "another size makes other features"


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "pickle.safetensors").write_bytes(b"\x80\x04junk")
    with pytest.raises(AslError, match="no safetensors file"):
        load_embedder(tmp_path / "pickle.safetensors")
    save_file({"w": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(AslError, match="something else"):
        load_embedder(tmp_path / "other.safetensors")
    with pytest.raises(UsageError, match=r"asl\.train"):
        load_embedder(tmp_path / "nowhere")


def test_half_precision_halves_the_file_and_is_read_as_float32(tmp_path: Path) -> None:
    embedder = build_embedder(**TINY).eval()
    save_embedder(embedder, tmp_path / "full.safetensors", card={})
    save_embedder(embedder, tmp_path / "half.safetensors", card={}, half=True)
    sizes = {path.stem: path.stat().st_size for path in tmp_path.iterdir()}
    assert sizes["half"] < 0.6 * sizes["full"]
    loaded = load_embedder(tmp_path / "half.safetensors", size=96)
    assert loaded.preprocessing.size == 96
    assert {weight.dtype for weight in loaded.parameters()} == {torch.float32}
    cosine = F.cosine_similarity(loaded(images()), embedder(images()))
    assert float(cosine.detach().min()) > 0.99
