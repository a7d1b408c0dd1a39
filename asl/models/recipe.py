"""Plans of an embedder in plain values: architecture, and the pixels that the network takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from asl.types import UsageError

Resize = Literal["squash", "short", "pad"]
Resampling = Literal["cubic", "linear"]


@dataclass(frozen=True)
class Preprocessing:
    """Size and normalisation of the network's input; part of the model.

    Attributes:
        size: pixels of the square side (or of the shorter side).
        resize: ``squash`` to the square, ``short`` (keep the aspect, shorter side at ``size``), or
            ``pad`` to the square.
        resampling: ``linear``, as in training, or ``cubic``, as asl_lite0 and public weights expect
            (:func:`asl.data.images.resize_image`).
        mean: of each RGB channel in 0..1.
        std: of each RGB channel in 0..1.
    """

    size: int = 224
    resize: Resize = "squash"
    resampling: Resampling = "cubic"  # of models that name none
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        if not 16 <= self.size <= 4096:
            raise UsageError(f"model.size: must be in 16..4096 pixels, got {self.size}")
        if self.resize not in ("squash", "short", "pad"):
            raise UsageError(f"model.resize: expected squash, short or pad, got {self.resize!r}")
        if self.resampling not in ("cubic", "linear"):
            raise UsageError(f"model.resampling: expected cubic or linear, got {self.resampling!r}")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise UsageError(
                "model.mean, model.std: three numbers each, std above 0; "
                f"got {self.mean} and {self.std}"
            )


@dataclass(frozen=True)
class Recipe:
    """Architecture of an embedder in plain values, saved beside its weights.

    Attributes:
        backbone: name of a timm model.
        options: arguments of ``timm.create_model``.
        pooling: ``gem``, ``avg``, ``cls`` or ``rmac``.
        p: of GeM.
        learned_p: train GeM's p.
        neck: ``linear_bn``, ``linear``, ``bn``, ``projector``, ``sqrt``, ``sqrt_linear`` or
            ``none``.
        dim: D of the embedding.
        hidden: widths of the projector's hidden layers.
        slope: of its leaky ReLUs below 0; 0 is a ReLU.
        scale: learn the scale of the projector's last batch norm.
        shift: learn the shift of the batch norm of ``linear_bn``.
        norm_head: predict the log-norm apart from the direction.
        detach_norm: keep the gradient of the norm head from the backbone.
        norm_stages: last stages of the backbone whose maps the norm head reads beside the pooled
            feature; 0: none.
        without: parts of the backbone that are left out, e.g. the last convolution of an
            EfficientNet (``conv_head``).
        full_last_stage: remove the stride of a ResNet's last stage (``layer4``): a map of twice the
            side, without dilation.
        wave: backbone stages that are followed by a WaveBlock in training, e.g. ``layer2``.
    """

    backbone: str
    options: dict[str, Any] = field(default_factory=dict)
    pooling: str = "gem"
    p: float = 3.0
    learned_p: bool = False
    neck: str = "linear_bn"
    dim: int = 256
    hidden: Sequence[int] = (4096,)
    slope: float = 0.0
    scale: bool = False
    shift: bool = False
    norm_head: bool = False
    detach_norm: bool = False
    norm_stages: int = 0
    without: Sequence[str] = ()
    full_last_stage: bool = False
    wave: Sequence[str] = ()


def non_default(plan: Recipe | Preprocessing) -> dict[str, Any]:
    """Return the fields that differ from their defaults.

    A field that a later version adds does not change the hash of older models.
    """
    defaults = {field.name: field.default for field in fields(plan)}
    # A tuple and the list that a file returns are the same choice.
    chosen = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(plan).items()
    }
    plain = {
        name: list(value) if isinstance(value, tuple) else value for name, value in defaults.items()
    }
    return {
        name: value
        for name, value in chosen.items()
        if value != plain[name] and value not in ({}, [])
    }
