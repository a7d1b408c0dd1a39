"""Assemble an embedder from its recipe: a timm backbone, a pooling, a neck."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import timm
import torch
from torch import nn

from asl.models.embedder import Embedder
from asl.models.necks import BatchNorm, Linear, LinearBN, NormHead, Projector, Sqrt, SqrtLinear
from asl.models.pooling import RMAC, Average, GeM
from asl.models.recipe import Preprocessing, Recipe
from asl.models.waveblock import WaveBlock
from asl.types import UsageError


class NoNeck(nn.Module):
    """Return the pooled feature as the embedding."""

    def __init__(self, width: int) -> None:
        """Set D to ``width``."""
        super().__init__()
        self.dim = width

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        """Return ``pooled`` unchanged."""
        return pooled


def create_backbone(plan: Recipe, *, pretrained: bool = False) -> nn.Module:
    """Create the timm network without its classifier.

    Args:
        plan: names the network, its options and the parts to leave out.
        pretrained: download timm's weights.

    Raises:
        UsageError: timm has no such model, or the model no such part.
    """
    if not timm.is_model(plan.backbone):
        similar = timm.list_models(f"*{plan.backbone.split('_')[0]}*")[:5]
        raise UsageError(
            f"model.backbone: timm has no model {plan.backbone!r}; "
            f"similar names: {', '.join(similar) or 'none'}"
        )
    network: nn.Module = timm.create_model(
        plan.backbone, pretrained=pretrained, num_classes=0, global_pool="", **plan.options
    )
    for part in plan.without:
        _known_part(network, part, "without")
        setattr(network, part, nn.Identity())
    if plan.full_last_stage:
        _remove_last_stride(network)
    return network


def _remove_last_stride(network: nn.Module) -> None:
    """Set the stride of ``layer4`` to 1 without dilating it, as BoT and D2LV do."""
    stage = getattr(network, "layer4", None)
    parts = list(stage.modules()) if stage is not None else []
    strided = [part for part in parts if getattr(part, "stride", 1) in (2, (2, 2))]
    if not strided:
        raise UsageError(
            "model.full_last_stage: the backbone has no strided stage `layer4`; only ResNets have "
            "one, set it to false"
        )
    for part in strided:
        if isinstance(part, nn.AvgPool2d):  # before the shortcut of a ResNet-D
            part.kernel_size = 1
            part.stride = 1
        else:
            cast(Any, part).stride = (1, 1)


def _known_part(network: nn.Module, name: str, key: str) -> None:
    known = [part for part, _ in network.named_children()]
    if name not in known:
        raise UsageError(
            f"model.{key}: the backbone has no part {name!r}; choose from {', '.join(known)}"
        )


def assemble(network: nn.Module, plan: Recipe, preprocessing: Preprocessing) -> Embedder:
    """Put pooling and neck on a backbone.

    Args:
        network: a timm model without its classifier.
        plan: names pooling and neck.
        preprocessing: of the embedder.

    Raises:
        UsageError: no such pooling, neck or stage.
    """
    # Without its last convolution the output of a network is that of its last stage.
    described = cast(Any, network)
    width = int(described.feature_info[-1]["num_chs"] if plan.without else described.num_features)
    poolings: dict[str, Callable[[], nn.Module | None]] = {
        "gem": lambda: GeM(p=plan.p, learned=plan.learned_p),
        "avg": Average,
        "rmac": RMAC,
        "cls": lambda: None,
    }
    necks: dict[str, Callable[[], nn.Module]] = {
        "linear_bn": lambda: LinearBN(width, plan.dim, shift=plan.shift),
        "linear": lambda: Linear(width, plan.dim),
        "bn": lambda: BatchNorm(width),
        "projector": lambda: Projector(
            width, plan.dim, plan.hidden, slope=plan.slope, scale=plan.scale
        ),
        "sqrt": lambda: Sqrt(width),
        "sqrt_linear": lambda: SqrtLinear(width, plan.dim),
        "none": lambda: NoNeck(width),
    }
    for name, chosen, known in (
        ("pooling", plan.pooling, list(poolings)),
        ("neck", plan.neck, list(necks)),
    ):
        if chosen not in known:
            raise UsageError(f"model.{name}: expected {', '.join(known)}, got {chosen!r}")
    _add_waves(network, plan.wave)
    neck = necks[plan.neck]()
    if plan.norm_head:
        more = _statistics_width(network, plan.norm_stages) if plan.norm_stages else 0
        neck = NormHead(neck, width + more, detach=plan.detach_norm)
    elif plan.norm_stages:
        raise UsageError("model.norm_stages: only a norm head reads them; set model.norm_head=true")
    dim = int(cast(Any, neck).dim)
    return Embedder(
        network, poolings[plan.pooling](), neck, dim=dim, preprocessing=preprocessing, recipe=plan
    )


def _statistics_width(network: nn.Module, stages: int) -> int:
    """Return the width of :func:`asl.models.pooling.map_statistics` of the last stages."""
    has_stages = hasattr(network, "forward_intermediates")
    known = [stage["num_chs"] for stage in cast(Any, network).feature_info] if has_stages else []
    if not 0 < stages <= len(known):
        raise UsageError(
            f"model.norm_stages: the backbone has {len(known)} stages that can be read; "
            f"got {stages}"
        )
    return 2 * int(sum(known[-stages:]))


def _add_waves(network: nn.Module, stages: Sequence[str]) -> None:
    for name in stages:
        _known_part(network, name, "wave")
        network.get_submodule(name).register_forward_hook(WaveBlock())
