"""The module: what is compiled is what is trained, with and without patch features."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch

from asl.losses import WeightedSum
from asl.losses.contrastive import InfoNCE
from asl.losses.copynce import CopyNCE
from asl.models import build_embedder
from asl.training import CopyDetectionModule
from asl.training import module as module_room


@pytest.mark.parametrize("patches", [False, True])
def test_the_compiled_network_is_the_one_that_is_trained(
    monkeypatch: pytest.MonkeyPatch, patches: bool
) -> None:
    """CopyNCE trains on the patch features, which a compiled ``forward`` does not give."""
    calls: list[torch.Size] = []

    def compile_stand_in(function: Any) -> Any:
        def counted(images: torch.Tensor) -> Any:
            calls.append(images.shape)
            return function(images)

        return counted

    monkeypatch.setattr(module_room.torch, "compile", compile_stand_in)
    embedder = build_embedder(
        backbone="vit_tiny_patch16_224", size=64, dim=8, pooling="cls", options={"img_size": 64}
    )
    parts: dict[str, Any] = {"copynce": CopyNCE()} if patches else {"infonce": InfoNCE()}
    made = CopyDetectionModule(
        embedder,
        WeightedSum(parts, dict.fromkeys(parts, 1.0)),
        optimizer=partial(torch.optim.SGD, lr=0.1),
    )
    made.compile_embedder()
    overlaps = torch.eye(16).expand(1, 1, 16, 16) if patches else None
    inputs = made._loss_inputs(
        {
            "images": torch.zeros(2, 3, 64, 64, dtype=torch.uint8),
            "source": torch.zeros(2, dtype=torch.int64),
            "content": torch.ones(2),
            "view": torch.arange(2),
            "overlaps": overlaps,
            "pair_index": torch.zeros(0, 2, dtype=torch.int64),
            "pair_directed": torch.zeros(0, dtype=torch.bool),
        }
    )
    assert calls == [torch.Size([2, 3, 64, 64])]
    assert (inputs.tokens is not None) == patches
    total, _ = made.loss(inputs)
    assert torch.isfinite(total)
