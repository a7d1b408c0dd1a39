"""Embedders from recipes: what is assembled, and which recipes are refused."""

from __future__ import annotations

import pytest
import torch

from asl.models import build_embedder
from asl.types import AslError
from tests.models.small_model import TINY, images


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"backbone": "resnet999"}, "timm has no"),
        ({"pooling": "gemm"}, "pooling"),
        ({"neck": "bnneck"}, "neck"),
        ({"wave": ["layer9"]}, r"model\.wave: the backbone has no part 'layer9'"),
    ],
)
def test_wrong_recipes_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(AslError, match=message):
        build_embedder(**{**TINY, **wrong})  # type: ignore[arg-type]


def test_a_full_last_stage_has_no_stride_and_no_dilation() -> None:
    plain = build_embedder(backbone="resnet18", neck="none")
    full = build_embedder(backbone="resnet18", neck="none", full_last_stage=True)
    assert plain.tokens(images())[1].shape[2] * 2 == full.tokens(images())[1].shape[2]
    last = [part for part in full.backbone.layer4.modules() if isinstance(part, torch.nn.Conv2d)]
    assert {(part.stride, part.dilation) for part in last} == {((1, 1), (1, 1))}
    with pytest.raises(AslError, match=r"model\.full_last_stage: the backbone has no strided"):
        build_embedder(**{**TINY, "full_last_stage": True, "backbone": "vit_tiny_patch16_224"})
    pooled = build_embedder(backbone="resnet10t", neck="none", full_last_stage=True)
    assert pooled.tokens(images())[1].shape[2] == full.tokens(images())[1].shape[2]
    shifted = build_embedder(backbone="resnet18", neck="linear_bn", dim=4, shift=True)
    assert shifted.neck.norm.bias.requires_grad
