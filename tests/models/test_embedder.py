"""The embedder: pixels in bytes or floats, independent rows, patch features, preprocessing."""

from __future__ import annotations

import pytest
import torch

from asl.models import build_embedder
from asl.types import AslError
from tests.models.small_model import TINY, images


def test_bytes_and_floats_are_the_same_image() -> None:
    embedder = build_embedder(**TINY).eval()
    assert torch.allclose(embedder(images()), embedder(images().float() / 255), atol=1e-5)


def test_an_image_s_feature_does_not_depend_on_its_batch() -> None:
    embedder = build_embedder(**TINY, norm_head=True).eval()
    together = embedder(images(4))
    alone = torch.cat([embedder(image[None]) for image in images(4)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_tokens_are_the_map_behind_the_feature() -> None:
    embedder = build_embedder(
        backbone="vit_tiny_patch16_224", size=64, dim=8, pooling="cls", options={"img_size": 64}
    )
    features, tokens = embedder.eval().tokens(images())
    assert features.shape == (3, 8)
    assert tokens.shape == (3, 192, 4, 4)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"resize": "crop"}, "resize"),
        ({"size": 8}, r"model\.size: must be in 16\.\.4096 pixels, got 8"),
        ({"std": (0.5, 0.5, 0.0)}, r"model\.mean, model\.std: three numbers each, std above 0"),
    ],
)
def test_a_wrong_preprocessing_is_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(AslError, match=message):
        build_embedder(**{**TINY, **wrong})  # type: ignore[arg-type]
