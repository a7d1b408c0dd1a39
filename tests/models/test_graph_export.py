"""Any architecture becomes a graph that serves all of its models; what cannot, says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from asl.models import build_embedder, save_embedder
from asl.models.graph_export import compare, export_graph, export_once
from asl.models.network_graph import Network, find_graph
from asl.models.saved_model import network_weights, read_model
from asl.types import AslError
from tests.models.small_model import TINY

pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporters about themselves


@pytest.mark.slow
@pytest.mark.parametrize(
    "plan",
    [
        {"neck": "projector", "hidden": [32], "norm_head": True, "pooling": "rmac"},
        {"neck": "linear_bn", "resize": "short", "pooling": "gem", "learned_p": True},
        {"norm_head": True, "norm_stages": 2},
        {"backbone": "vit_tiny_patch16_224", "size": 64, "options": {"img_size": 64, "depth": 1}},
    ],
)
def test_a_graph_serves_every_model_of_its_architecture(plan: dict[str, object]) -> None:
    plan = {**TINY, **plan}
    torch.manual_seed(0)
    graph = export_graph(build_embedder(**plan))
    other = build_embedder(**plan).eval()
    network = Network(graph, network_weights(other))
    again = compare(
        other, lambda images: torch.from_numpy(network(images.permute(0, 2, 3, 1).numpy()))
    )
    assert again < 1e-3
    if plan.get("resize") == "short":
        for shape in ((1, 64, 100, 3), (2, 90, 64, 3)):
            assert network(np.zeros(shape, np.uint8)).shape == (shape[0], 16)


def test_a_network_that_cannot_be_exported_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from asl.models.embedder import Embedder

    monkeypatch.setenv("ASL_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "model.safetensors"
    save_embedder(build_embedder(**TINY), path, card={})
    whole = Embedder.forward

    def decides(self: Embedder, images: torch.Tensor) -> torch.Tensor:
        return whole(self, images) * (2.0 if float(images.float().mean()) > 90 else 1.0)

    monkeypatch.setattr(Embedder, "forward", decides)
    with pytest.raises(AslError, match="cannot be exported"):
        export_graph(build_embedder(**TINY))
    made = export_once(read_model(path))
    assert not made.onnx
    assert find_graph(made.key) == made
    assert "it is run by PyTorch" in capsys.readouterr().err
