"""A file says by name which packaged model made it."""

from __future__ import annotations

from pathlib import Path

import pytest

from asl import model_names
from asl.model_names import (
    how_to_use,
    model_text,
    other_model,
    packaged_hashes,
    packaged_name,
    with_name,
)
from asl.models.saved_model import read_model
from asl.models.shipped import PACKAGED, shipped_model

OTHER = "0123456789abcdef"


def test_the_hash_of_a_card_is_that_of_the_weights() -> None:
    assert packaged_hashes() == {name: read_model(shipped_model(name)).hash for name in PACKAGED}


def test_packaged_models_have_names_and_others_have_hashes() -> None:
    first, second = packaged_hashes().values()
    assert [packaged_name(model) for model in (first, second, OTHER, "")] == [*PACKAGED, "", ""]
    assert model_text(f"{first}+{second}") == "+".join(PACKAGED)
    assert [with_name(model) for model in (first, OTHER)] == [f"{first} ({PACKAGED[0]})", OTHER]
    assert OTHER in model_text(f"{first}+{OTHER}")
    assert how_to_use(second) == f"give model={PACKAGED[1]}"
    assert "file of that model" in how_to_use(OTHER)
    assert "file of that model" in how_to_use(f"{first}+{OTHER}")


def test_a_message_names_both_models_and_the_cure() -> None:
    first, second = packaged_hashes().values()
    said = other_model(first, second, otherwise="choose another output")
    assert said == (
        f"was made with {PACKAGED[0]}, not with {PACKAGED[1]}; give model={PACKAGED[0]}, "
        "or choose another output"
    )
    assert not {first, second} & set(said.split())


def test_an_installation_that_lacks_a_model_has_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_names, "files", lambda _: tmp_path)
    (tmp_path / "models").mkdir()
    name = PACKAGED[1]
    path = tmp_path / "models" / f"{name}.safetensors"
    path.write_bytes(shipped_model(name).read_bytes())
    (tmp_path / "models" / f"{PACKAGED[0]}.safetensors").write_bytes(b"damaged")
    assert packaged_hashes.__wrapped__() == {name: read_model(path).hash}
