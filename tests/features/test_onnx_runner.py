"""ONNX Runtime embeds as torch does, the same to the bit in any batch and on any threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from asl.features.onnx_runner import OnnxRunner, core_limit
from asl.features.torch_runner import TorchRunner
from asl.models import SavedModel, load_embedder, open_model
from asl.models.network_graph import Graph, find_graph, graph_key
from asl.models.shipped import SHIPPED
from asl.parallel import usable_cores
from asl.types import AslError


@pytest.fixture(scope="module")
def shipped() -> SavedModel:
    model = open_model(SHIPPED)
    assert isinstance(model, SavedModel)
    return model


@pytest.fixture(scope="module")
def graph(shipped: SavedModel) -> Graph:
    graph = find_graph(graph_key(shipped.recipe, shipped.preprocessing))
    assert graph is not None
    return graph


@pytest.fixture(scope="module")
def runner(shipped: SavedModel, graph: Graph) -> OnnxRunner:
    return OnnxRunner(shipped, graph)


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 256, (5, 14, 14, 3), dtype=np.uint8)
    return [picture.repeat(16, 0).repeat(16, 1) for picture in coarse]


def test_features_facts_and_hash_are_those_of_torch(
    runner: OnnxRunner, pictures: list[np.ndarray]
) -> None:
    torch_runner = TorchRunner(load_embedder(SHIPPED), "cpu")
    expected, found = torch_runner.embed(pictures), runner.embed(pictures)
    assert np.abs(found - expected).max() <= 1e-3 * np.abs(expected).max()
    for fact in ("preprocessing", "dim", "hash"):
        assert getattr(runner, fact) == getattr(torch_runner, fact)
    assert runner.name.startswith("onnxruntime 1.")
    assert torch_runner.name.startswith("torch ")
    assert runner.decoders() == 0


def test_a_feature_depends_on_its_picture_alone(
    runner: OnnxRunner, pictures: list[np.ndarray]
) -> None:
    together = runner.embed(pictures)
    assert np.array_equal(together[::-1], runner.embed(pictures[::-1]))
    assert np.array_equal(together, np.concatenate([runner.embed([one]) for one in pictures]))
    with ThreadPoolExecutor(4) as pool:
        found = [*pool.map(runner.embed, [pictures] * 8)]
    assert all(np.array_equal(together, features) for features in found)
    assert runner.embed([]).shape == (0, runner.dim)


def test_weights_of_another_recipe_are_one_line(shipped: SavedModel, graph: Graph) -> None:
    stored = {name: value for name, value in shipped.stored.items() if name != "pool.p"}
    with pytest.raises(AslError, match=r"weights do not fit the recipe.*pool\.p is missing"):
        OnnxRunner(replace(shipped, stored=stored), graph)


def test_openmp_s_limit_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for told, cores in (("1", 1), ("999", usable_cores()), ("", usable_cores()), ("x", None)):
        monkeypatch.setenv("OMP_NUM_THREADS", told)
        assert core_limit() == (cores or usable_cores())
