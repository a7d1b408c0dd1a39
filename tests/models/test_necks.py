"""Necks by hand, and the norm head."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from asl.models import build_embedder, load_embedder, save_embedder
from asl.models.necks import BatchNorm, LinearBN, NormHead, Sqrt, SqrtLinear
from asl.models.pooling import map_statistics
from asl.types import UsageError
from tests.models.small_model import TINY, images


def test_the_published_projector_learns_a_scale_and_no_shift(tmp_path: Path) -> None:
    embedder = build_embedder(**TINY, neck="projector", hidden=[32], slope=0.2, scale=True).eval()
    last = embedder.neck.layers[-1]
    assert last.weight.requires_grad
    assert not last.bias.requires_grad
    assert embedder.neck.layers[2](torch.tensor([-1.0, 1.0])).tolist() == pytest.approx([-0.2, 1.0])
    save_embedder(embedder, tmp_path / "model.safetensors", card={})
    assert torch.equal(embedder(images()), load_embedder(tmp_path)(images()))


def test_a_norm_head_changes_lengths_and_not_directions() -> None:
    embedder = build_embedder(**TINY, norm_head=True).eval()
    before = embedder(images())
    with torch.no_grad():
        embedder.neck.head[-1].bias += 1.0
    after = embedder(images())
    assert torch.allclose(
        torch.nn.functional.normalize(before), torch.nn.functional.normalize(after), atol=1e-6
    )
    assert (after.norm(dim=1) > 1.2 * before.norm(dim=1)).all()


@pytest.mark.parametrize(
    "plan",
    [
        TINY,
        {**TINY, "backbone": "resnet10t"},
        {"backbone": "vit_tiny_patch16_224", "dim": 8, "pooling": "cls", "options": {"depth": 3}},
    ],
)
def test_a_norm_head_may_read_earlier_stages_which_the_direction_does_not_see(
    plan: dict[str, Any], tmp_path: Path
) -> None:
    plan = {"size": 224, **plan}
    torch.manual_seed(0)
    plain = build_embedder(**plan).eval()
    network: Any = plain.backbone
    embedder = build_embedder(**plan, norm_head=True, norm_stages=2).eval()
    state = {name.replace("neck.", "neck.neck.", 1): v for name, v in plain.state_dict().items()}
    embedder.load_state_dict(state, strict=False)
    pictures = images(3, plan["size"])
    features = embedder(pictures)
    assert torch.allclose(
        torch.nn.functional.normalize(plain(pictures)),
        torch.nn.functional.normalize(features),
        atol=1e-6,
    )
    _, maps = network.forward_intermediates(plain.normalise(pictures), indices=2)
    pooled, *statistics, _ = embedder.pooled(pictures)
    for stage, values in zip(maps, statistics, strict=True):
        flat = stage.flatten(2)
        expected = torch.cat([flat.mean(2), flat.std(2, correction=0)], dim=1)
        assert torch.allclose(values, expected, atol=2e-3)
    head: Any = embedder.neck
    assert torch.allclose(features.norm(dim=1).log(), head.log_norm(pooled, *statistics)[:, 0])
    assert head.head[0].num_features == pooled.shape[1] + sum(v.shape[1] for v in statistics)
    save_embedder(embedder, tmp_path / "model.safetensors", card={})
    assert torch.equal(features, load_embedder(tmp_path)(pictures))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"norm_head": True, "norm_stages": 9}, "has 5 stages that can be read; got 9"),
        ({"norm_head": True, "norm_stages": -1}, "has 5 stages that can be read; got -1"),
        ({"norm_stages": 1}, "only a norm head reads them; set model.norm_head=true"),
    ],
)
def test_stages_that_cannot_be_read_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_embedder(**TINY, **wrong)


def test_statistics_of_a_constant_map_have_finite_gradients() -> None:
    constant = torch.ones(1, 2, 3, 3, requires_grad=True)
    statistics = map_statistics(constant)
    assert statistics.tolist()[0] == pytest.approx([1, 1, 1e-3, 1e-3])
    statistics.sum().backward()
    assert constant.grad is not None
    assert torch.isfinite(constant.grad).all()


def test_a_linear_layer_follows_the_square_root(tmp_path: Path) -> None:
    neck = SqrtLinear(2, 1)
    with torch.no_grad():
        neck.linear.weight.copy_(torch.tensor([[1.0, -2.0]]))
        neck.linear.bias.fill_(0.5)
    assert neck(torch.tensor([[4.0, 9.0], [1.0, -1.0]]))[:, 0].tolist() == pytest.approx(
        [2 - 6 + 0.5, 1 - 0.002 + 0.5]
    )
    embedder = build_embedder(**TINY, neck="sqrt_linear", norm_head=True).eval()
    save_embedder(embedder, tmp_path / "model.safetensors", card={})
    assert torch.equal(embedder(images()), load_embedder(tmp_path)(images()))
    assert embedder(images()).shape[1] == TINY["dim"]


def test_the_square_root_has_finite_gradients_at_zero() -> None:
    pooled = torch.tensor([[4.0, 0.0, -1.0]], requires_grad=True)
    embedding = Sqrt(3)(pooled)
    assert embedding.tolist()[0] == pytest.approx([2.0, 1e-3, 1e-3])
    embedding.sum().backward()
    assert pooled.grad is not None
    assert torch.isfinite(pooled.grad).all()


def test_batch_norms_do_not_learn_a_shift_unless_asked() -> None:
    assert not BatchNorm(4).norm.bias.requires_grad
    assert not LinearBN(4, 2).norm.bias.requires_grad
    assert LinearBN(4, 2, shift=True).norm.bias.requires_grad


@pytest.mark.parametrize("detach", [False, True])
def test_a_norm_head_is_bounded_and_keeps_its_gradient_where_it_is_detached(detach: bool) -> None:
    torch.manual_seed(0)
    head = NormHead(LinearBN(4, 3), 4, bound=0.5, detach=detach)
    pooled = (100 * torch.randn(8, 4)).requires_grad_()
    norms = head(pooled).norm(dim=1)
    assert float(norms.detach().log().abs().max()) <= 0.5 + 1e-5
    norms.sum().backward()
    moved = float(pooled.grad.abs().max()) if pooled.grad is not None else 0.0
    # Through the neck only rounding errors remain: its output is normalised.
    assert (moved < 1e-5) == detach
