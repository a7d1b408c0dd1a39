"""Saved models are read as arrays, hash as their networks do, and are checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from asl.models import build_embedder, load_embedder, model_hash, save_embedder
from asl.models.io import restore
from asl.models.saved_model import dimensions, model_path, network_weights, read_model
from asl.models.shipped import PACKAGED, SHIPPED, shipped_model
from asl.types import AslError, UsageError
from tests.models.small_model import TINY


@pytest.mark.parametrize("half", [False, True])
def test_arrays_and_hash_are_those_of_the_network(tmp_path: Path, half: bool) -> None:
    embedder = build_embedder(**TINY, norm_head=True).eval()
    path = tmp_path / "model.safetensors"
    save_embedder(embedder, path, card={}, half=half)
    model = read_model(path)
    assert (model.dim, model.preprocessing.size) == (16, 64)
    assert model.hash == model_hash(model) == model_hash(load_embedder(path))
    assert (model.hash == model_hash(embedder)) != half
    restored = network_weights(restore(model))
    assert restored.keys() == model.weights.keys()
    assert all(np.array_equal(restored[name], value) for name, value in model.weights.items())
    assert read_model(path, size=96).hash == model_hash(load_embedder(path, size=96)) != model.hash


@pytest.mark.parametrize(
    ("neck", "without"), [("linear", 16), ("sqrt_linear", 16), ("bn", 288), ("sqrt", 0)]
)
def test_a_file_states_its_dimensions_and_some_older_ones_show_them(
    tmp_path: Path, neck: str, without: int
) -> None:
    path = tmp_path / "model.safetensors"
    embedder = build_embedder(**TINY, neck=neck).eval()
    save_embedder(embedder, path, card={})
    model = read_model(path)
    assert model.dim == embedder.dim
    assert dimensions(model.recipe, model.stored) == without


def test_bfloat16_is_saved_as_float32_and_read(tmp_path: Path) -> None:
    """The weights after a training in bf16-true; and those that others saved in bfloat16."""
    embedder = build_embedder(**TINY).eval().to(torch.bfloat16)
    path = tmp_path / "model.safetensors"
    save_embedder(embedder, path, card={})
    model = read_model(path)
    assert {value.dtype.name for value in model.stored.values()} <= {"float32", "int64"}
    assert model.hash == model_hash(embedder)
    with safe_open(path, framework="pt") as file:
        metadata = {name: text for name, text in file.metadata().items() if name != "sha256"}
    save_file({k: v.contiguous() for k, v in embedder.state_dict().items()}, path, metadata)
    assert {value.dtype.name for value in read_model(path).stored.values()} >= {"bfloat16"}
    assert read_model(path).hash == model.hash == model_hash(load_embedder(path))


def test_the_shipped_files_state_their_dimensions() -> None:
    dims = {name: read_model(shipped_model(name)).dim for name in PACKAGED}
    assert dims == {"asl_lite0": 1280, "asl_lite1": 512}


def test_a_changed_byte_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_embedder(build_embedder(**TINY).eval(), path, card={})
    data = bytearray(path.read_bytes())
    data[-9] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(AslError, match="its checksum differs"):
        read_model(path)


def test_names(tmp_path: Path) -> None:
    assert model_path(SHIPPED) == shipped_model()
    save_embedder(build_embedder(**TINY), tmp_path / "model.safetensors", card={})
    assert model_path(tmp_path) == tmp_path / "model.safetensors"
    with pytest.raises(
        UsageError, match=r"model: expected asl_lite0, asl_lite1, lite0 or the path"
    ):
        model_path(tmp_path / "none")
