"""A model opens without torch where it can be read without it."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.numpy import save_file

from asl.models import Embedder, SavedModel, build_embedder, model_hash, open_model, save_embedder
from asl.models.saved_model import read_model
from asl.models.shipped import SHIPPED
from asl.types import UsageError
from tests.models.small_model import TINY


def test_saved_models_open_as_arrays_and_others_as_networks(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_embedder(build_embedder(**TINY, neck="none"), path, card={})
    saved = open_model(tmp_path, size=96)
    assert isinstance(saved, SavedModel)
    assert saved.preprocessing.size == 96
    assert isinstance(open_model(SHIPPED), SavedModel)
    assert isinstance(open_model("lite0"), Embedder)
    with pytest.raises(UsageError, match="model: expected"):
        open_model(tmp_path / "none")


def test_an_old_file_without_its_dimensions_opens_as_a_network(tmp_path: Path) -> None:
    from asl.models.model_card import read_metadata

    path = tmp_path / "model.safetensors"
    save_embedder(build_embedder(**TINY, neck="none"), path, card={})
    metadata = {k: v for k, v in read_metadata(path).items() if k not in ("dim", "sha256")}
    stored = {name: value.copy() for name, value in read_model(path).stored.items()}
    save_file(stored, tmp_path / "old.safetensors", metadata=metadata)
    old = open_model(tmp_path / "old.safetensors")
    assert isinstance(old, Embedder)
    assert (old.dim, model_hash(old)) == (288, model_hash(read_model(path)))
