"""Necks by hand, and the norm head."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from asl.models import build_embedder, load_embedder, save_embedder
from asl.models.necks import BatchNorm, LinearBN, NormHead, Sqrt, SqrtLinear
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
