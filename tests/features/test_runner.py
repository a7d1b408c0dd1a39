"""Saved models run by ONNX Runtime on a CPU, everything else by torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from asl.data.catalog import open_catalog
from asl.features import runner as runners
from asl.features.extraction import extract
from asl.features.onnx_runner import OnnxRunner
from asl.features.runner import is_cpu, open_runner
from asl.features.torch_runner import TorchRunner
from asl.models import SavedModel, build_embedder, open_model, save_embedder
from asl.models.io import restore
from asl.models.network_graph import cached_graphs
from asl.models.shipped import SHIPPED
from asl.types import UsageError

TINY = {"backbone": "mobilenetv3_small_050", "size": 48, "dim": 8}


@pytest.fixture
def saved(tmp_path: Path) -> SavedModel:
    save_embedder(build_embedder(**TINY), tmp_path / "model.safetensors", card={})
    model = open_model(tmp_path)
    assert isinstance(model, SavedModel)
    return model


def test_live_networks_and_models_without_a_graph_run_by_torch(saved: SavedModel) -> None:
    assert isinstance(open_runner(build_embedder(**TINY), "cpu"), TorchRunner)
    runner = open_runner(saved, "cpu")  # there is no cache in these tests
    assert isinstance(runner, TorchRunner)
    assert runner.hash == saved.hash
    assert isinstance(open_runner(open_model(SHIPPED), "cpu"), OnnxRunner)
    with pytest.raises(UsageError, match="device: 'cuda:99'"):
        open_runner(saved, "cuda:99")


def test_a_file_that_is_loaded_twice_runs_once(saved: SavedModel) -> None:
    again = open_model(saved.path)
    assert again is not saved
    assert open_runner(again, "cpu") is open_runner(saved, "cpu")
    other = open_model(saved.path, size=64)
    assert open_runner(other, "cpu").preprocessing.size == 64


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the exporters about themselves
def test_a_network_is_exported_once_and_again_where_its_graph_is_damaged(
    saved: SavedModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("ASL_CACHE", str(tmp_path / "cache"))
    images = [np.full((48, 48, 3), value, np.uint8) for value in (9, 200)]
    runner = open_runner(saved, "cpu")
    assert isinstance(runner, OnnxRunner)
    assert "prepared for this CPU, once" in capsys.readouterr().err
    expected = TorchRunner(restore(saved), "cpu").embed(images)
    assert np.abs(runner.embed(images) - expected).max() <= 1e-3 * np.abs(expected).max()
    (path,) = cached_graphs()
    whole = path.read_bytes()
    for content, told in ((whole, ""), (whole[:-1], "once"), (b"{}\n", "once")):
        path.write_bytes(content)
        runners._run_saved.cache_clear()
        fresh = open_model(saved.path)
        assert isinstance(open_runner(fresh, "cpu"), OnnxRunner)
        assert told in capsys.readouterr().err
        assert path.read_bytes() == whole


def test_shards_name_their_runner_and_a_store_is_continued_by_another(
    photos: Path, tmp_path: Path
) -> None:
    catalog, output = open_catalog(photos), tmp_path / "store"
    model = open_model(SHIPPED)
    assert isinstance(model, SavedModel)
    first = extract(catalog, model, output=output, shard_size=4)
    expected = first.features().copy()
    assert {shard["runner"].split()[0] for shard in first.manifest["shards"]} == {"onnxruntime"}
    first.forget(catalog.ids.tolist()[:2])
    again = extract(catalog, restore(model), output=output)
    assert again.manifest["shards"][-1]["runner"].startswith("torch ")
    order = [again.ids.tolist().index(name) for name in catalog.ids.tolist()]
    assert np.abs(again.features()[order] - expected).max() <= 1e-3 * np.abs(expected).max()


def test_torch_is_asked_only_where_a_gpu_has_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_cpu("cpu")
    assert not is_cpu("cuda")
    monkeypatch.setattr(runners, "_may_have_gpu", lambda: False)
    assert is_cpu("auto")
    monkeypatch.setattr(runners, "_may_have_gpu", lambda: True)
    import torch

    for available in (False, True):
        monkeypatch.setattr(torch.cuda, "is_available", lambda value=available: value)
        assert is_cpu("auto") != available
