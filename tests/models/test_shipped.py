"""The packaged models: calibrated for their own weights; named where one is missing."""

from __future__ import annotations

import pytest

from asl.models import load_embedder, model_hash
from asl.models.network_graph import find_graph, graph_key
from asl.models.saved_model import network_weights, read_model
from asl.models.score_constants import find_calibrations
from asl.models.shipped import PACKAGED, shipped_model
from asl.types import UsageError


@pytest.mark.parametrize("name", PACKAGED)
def test_a_packaged_model_is_calibrated_for_itself(name: str) -> None:
    assert {"cosine", "hinge"} <= set(find_calibrations(name, model_hash(load_embedder(name))))


@pytest.mark.parametrize("name", PACKAGED)
def test_the_network_of_a_packaged_model_is_never_exported(name: str) -> None:
    model = read_model(shipped_model(name))
    graph = find_graph(graph_key(model.recipe, model.preprocessing))
    assert graph is not None
    assert set(graph.weights) <= set(network_weights(load_embedder(name)))


def test_an_installation_without_weights_says_so() -> None:
    assert shipped_model().is_file()
    with pytest.raises(UsageError, match="this installation has no asl_lite9; use model=lite0"):
        shipped_model("asl_lite9")
