"""Graphs are found by their architecture; damaged and foreign ones count as missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from asl.models import Preprocessing, load_embedder
from asl.models.network_graph import (
    Graph,
    Network,
    cached_graphs,
    find_graph,
    graph_key,
    keep_graph,
    read_graph,
    write_graph,
)
from asl.models.saved_model import SavedModel, read_model
from asl.models.shipped import PACKAGED, shipped_model


@pytest.fixture(scope="module", params=PACKAGED)
def shipped(request: pytest.FixtureRequest) -> SavedModel:
    return read_model(shipped_model(request.param))


@pytest.fixture(scope="module")
def graph(shipped: SavedModel) -> Graph:
    graph = find_graph(graph_key(shipped.recipe, shipped.preprocessing))
    assert graph is not None, "the graph in the package is that of the packaged model"
    return graph


def drawn(side: int) -> dict[str, np.ndarray]:
    """Pictures of several kinds, uint8 [side, side, 3]."""
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 255, side)
    coarse = rng.integers(0, 256, (8, 8, 3)).repeat(-(-side // 8), 0).repeat(-(-side // 8), 1)
    wide = np.broadcast_to(ramp[None, :, None], (side, side, 3))
    return {
        "black": np.zeros((side, side, 3), np.uint8),
        "white": np.full((side, side, 3), 255, np.uint8),
        "ramp": wide.astype(np.uint8),
        "blocks": coarse[:side, :side].astype(np.uint8),
        "noise": rng.integers(0, 256, (side, side, 3), dtype=np.uint8),
        "soft": np.clip(rng.normal(128, 12, (side, side, 3)), 0, 255).astype(np.uint8),
        "stripes": np.where(np.arange(side)[:, None, None] % 7 < 3, 30, wide).astype(np.uint8),
    }


def test_the_packaged_graph_computes_what_torch_does(shipped: SavedModel, graph: Graph) -> None:
    pictures = drawn(224)
    stack = np.stack([*pictures.values()])
    with torch.inference_mode():
        expected = load_embedder(shipped.path)(torch.from_numpy(stack).permute(0, 3, 1, 2)).numpy()
    found = Network(graph, shipped.weights)(stack)
    largest = np.abs(expected).max(axis=1, keepdims=True)
    assert dict(zip(pictures, (np.abs(found - expected) / largest).max(axis=1), strict=True)) == {
        name: pytest.approx(0, abs=1e-3) for name in pictures
    }
    norms = [np.linalg.norm(features, axis=1) for features in (found, expected)]
    assert np.log(norms[0]) == pytest.approx(np.log(norms[1]), abs=1e-4)


def test_weights_are_those_that_are_given(shipped: SavedModel, graph: Graph) -> None:
    picture = drawn(224)["blocks"][None]
    name = "backbone.conv_stem.weight"
    changed = {**shipped.weights, name: -shipped.weights[name]}
    before, after = (Network(graph, weights)(picture) for weights in (shipped.weights, changed))
    assert np.abs(before - after).max() > 0.01 * np.abs(before).max()
    assert sum(value.nbytes for value in shipped.stored.values()) > 20 * len(graph.onnx), (
        "the graph holds none itself"
    )


@pytest.mark.parametrize("wrong", [None, np.zeros((2, 2), np.float32)])
def test_weights_that_do_not_fit_are_refused(
    shipped: SavedModel, graph: Graph, wrong: np.ndarray | None
) -> None:
    weights = dict(shipped.weights)
    weights.pop("neck.head.1.weight")
    if wrong is not None:
        weights["neck.head.1.weight"] = wrong
    with pytest.raises(ValueError, match=r"neck.head.1.weight is missing|dimensions do not match"):
        Network(graph, weights)


def test_the_key_is_of_the_architecture(shipped: SavedModel) -> None:
    key = graph_key(shipped.recipe, shipped.preprocessing)
    assert key != graph_key(replace(shipped.recipe, dim=8), shipped.preprocessing)
    assert key != graph_key(shipped.recipe, Preprocessing(size=320))
    other = "cubic" if shipped.preprocessing.resampling == "linear" else "linear"
    resized = replace(shipped.preprocessing, resampling=other)  # type: ignore[arg-type]
    assert key == graph_key(shipped.recipe, resized), "pictures are resized before the network"


def test_graphs_are_kept_in_the_users_cache(
    graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = replace(graph, key="0123")
    keep_graph(mine)  # without a cache: nowhere
    assert (find_graph("0123"), cached_graphs()) == (None, [])
    monkeypatch.setenv("ASL_CACHE", str(tmp_path / "cache"))
    keep_graph(mine)
    assert find_graph("0123") == mine
    assert len(cached_graphs()) == 1
    assert oct((tmp_path / "cache").stat().st_mode & 0o777) == "0o700", "nobody else's"
    monkeypatch.setenv("ASL_CACHE", str(tmp_path / "cache/graphs/0123.graph/below"))
    keep_graph(mine)  # a folder that cannot be made
    assert find_graph("0123") is None


@pytest.mark.parametrize("place", [3, 40, 2000, -1])
def test_a_damaged_graph_counts_as_missing(graph: Graph, tmp_path: Path, place: int) -> None:
    path = tmp_path / "g.graph"
    write_graph(graph, path)
    assert read_graph(path) == graph
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(bytes(data))
    assert read_graph(path) is None
    path.write_bytes(bytes(data[:1000]))
    assert read_graph(path) is None
    assert read_graph(tmp_path / "none") is None


def test_a_graph_of_another_architecture_is_not_taken_for_this_one(
    graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASL_CACHE", str(tmp_path))
    (tmp_path / "graphs").mkdir()
    write_graph(replace(graph, key="4567"), tmp_path / "graphs" / "0123.graph")
    assert find_graph("0123") is None
