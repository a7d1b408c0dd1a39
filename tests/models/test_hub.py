"""Embedders in folders and repositories: the hub is a folder here, no network is asked."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from asl.models import Embedder, build_embedder, model_hash
from asl.models.hub import CARD, WEIGHTS, card_of, card_text
from asl.types import AslError, UsageError
from tests.models.small_model import TINY, images

hub = pytest.importorskip("huggingface_hub", reason="`pip install asl-icd[hub]`")


def tiny() -> Embedder:
    torch.manual_seed(0)
    return build_embedder(**TINY, norm_head=True).eval()


def test_a_folder_holds_safetensors_and_a_card(tmp_path: Path) -> None:
    embedder = tiny()
    embedder.save_pretrained(tmp_path / "made", card={"training_images": 7, "nested": {"a": 1}})
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == [CARD, WEIGHTS]
    again = Embedder.from_pretrained(tmp_path / "made")
    assert not again.training
    assert torch.equal(again(images()), embedder(images()))
    assert model_hash(again) == model_hash(embedder)
    assert card_of(tmp_path / "made") == {"training_images": 7, "nested": {"a": 1}}
    text = (tmp_path / "made" / CARD).read_text(encoding="utf-8")
    assert text.startswith("---\nlibrary_name: asl-icd\n")
    assert "| training_images | 7 |" in text
    assert "16 dimensions, 64 x 64 pixels" in text
    (tmp_path / "made" / CARD).write_text("mine", encoding="utf-8")
    embedder.save_pretrained(tmp_path / "made")
    assert (tmp_path / "made" / CARD).read_text(encoding="utf-8") == "mine"


def test_the_card_is_valid_for_the_hub() -> None:
    data = hub.ModelCard(card_text(tiny(), {})).data
    assert data.library_name == "asl-icd"
    assert data.pipeline_tag == "image-feature-extraction"
    assert "image-copy-detection" in data.tags


def test_what_is_pushed_is_what_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = tmp_path / "remote"
    asked: list[Any] = []

    class Api:
        def __init__(self, token: str | None) -> None:
            asked.append(token)

        def create_repo(self, name: str, *, private: bool, exist_ok: bool) -> Any:
            asked.append((name, private, exist_ok))
            return SimpleNamespace(repo_id=name)

        def upload_folder(self, *, repo_id: str, folder_path: str, commit_message: str) -> Any:
            shutil.copytree(folder_path, remote / repo_id)
            return SimpleNamespace(commit_url=f"hub/{repo_id}/1")

    def download(name: str, file: str, *, revision: str | None, token: str | None) -> str:
        asked.append((revision, token))
        return str(remote / name / file)

    monkeypatch.setattr(hub, "HfApi", Api)
    monkeypatch.setattr(hub, "hf_hub_download", download)
    embedder = tiny()
    address = embedder.push_to_hub("me/mine", card={"note": "x"}, private=True, token="t")
    assert address == "hub/me/mine/1"
    again = Embedder.from_pretrained("me/mine", revision="v1", token="t")
    assert model_hash(again) == model_hash(embedder)
    assert asked == ["t", ("me/mine", True, True), ("v1", "t")]
    assert card_of(remote / "me" / "mine") == {"note": "x"}


def test_what_cannot_be_loaded_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> str:
        raise hub.errors.LocalEntryNotFoundError("no network,\n and nothing in the cache")

    monkeypatch.setattr(hub, "hf_hub_download", refuse)
    with pytest.raises(AslError, match=r"me/mine is no folder and cannot be downloaded .*cache\)"):
        Embedder.from_pretrained("me/mine")
    with pytest.raises(UsageError, match="expected asl_lite0, asl_lite1, lite0 or the path"):
        Embedder.from_pretrained(tmp_path)  # an empty folder
    (tmp_path / "pytorch_model.bin").write_bytes(b"a pickle")
    with pytest.raises(UsageError, match="expected asl_lite0"):
        Embedder.from_pretrained(tmp_path)


def test_a_refused_upload_and_a_missing_package_are_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Api:
        def __init__(self, token: str | None) -> None:
            pass

        def create_repo(self, *_: Any, **__: Any) -> Any:
            raise hub.errors.LocalTokenNotFoundError("no token")

    monkeypatch.setattr(hub, "HfApi", Api)
    with pytest.raises(AslError, match=r"me/mine: the hub refuses the upload \(no token\); log in"):
        tiny().push_to_hub("me/mine")

    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UsageError, match=r"need huggingface_hub; run `pip install asl-icd\[hub\]`"):
        Embedder.from_pretrained("me/mine")
