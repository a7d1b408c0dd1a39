"""A library is opened with the model that made it, unless another one is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from asl.app.library.image_store import ImageStore
from asl.app.library.library_model import library_model, recorded_model
from asl.model_names import packaged_hashes
from asl.shared_defaults import MODEL, MODELS
from asl.types import AslError


def made_with(path: Path, model: str) -> Path:
    ImageStore(path, model=model, dim=8).close()
    return path


@pytest.mark.parametrize("name", MODELS)
def test_the_packaged_model_that_made_it_is_used(name: str, tmp_path: Path) -> None:
    path = made_with(tmp_path / "library.sqlite", packaged_hashes()[name])
    assert recorded_model(path) == packaged_hashes()[name]
    assert library_model(path, None) == name
    assert library_model(path, "mine") == "mine"


def test_a_new_library_gets_the_default(tmp_path: Path) -> None:
    assert library_model(None, None) == library_model(tmp_path / "none.sqlite", None) == MODEL
    for content in (b"", b"no database"):
        (tmp_path / "odd.sqlite").write_bytes(content)
        assert library_model(tmp_path / "odd.sqlite", None) == MODEL


def test_a_model_that_is_not_packaged_has_to_be_given(tmp_path: Path) -> None:
    path = made_with(tmp_path / "library.sqlite", "feed")
    with pytest.raises(AslError, match=r"was made with a model .*\(feed\); give the file of that"):
        library_model(path, None)
    assert library_model(path, tmp_path / "mine.safetensors") == tmp_path / "mine.safetensors"
