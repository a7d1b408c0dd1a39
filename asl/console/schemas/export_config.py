"""Write a model as one file that runs without this package.

Examples:
  asl export output=asl_lite0.onnx
  asl export model=runs/mine format=onnx output=mine.onnx
  asl export model=runs/mine format=torch_export output=mine.pt2    torch.export.load, any batch
  asl export model=sscd_disc_mixup.torchvision.pt output=sscd.safetensors

The model takes uint8 [B, 3, S, S] RGB and gives float32 [B, D]: the feature, whose direction
encodes what is shown and whose norm how much of the original remains. Normalisation is inside;
resizing to S x S is not. The file is loaded again and compared with the model on a batch of another
size; a difference above tolerance (of the largest component) is an error, and no file remains. What
one has to know is in the file: metadata of ONNX, extra file asl.json of pt2. The last example
converts published weights to start a training from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from asl.console.schema_groups import CheckedChoices
from asl.shared_defaults import MODEL


@dataclass(kw_only=True)
class ExportModel:
    """Model and file.

    Attributes:
        model: asl_lite0, asl_lite1, lite0 or the path of a saved embedder.
        output: file to write.
        format: format of the file (safetensors is for this package); null: by the file's suffix.
        tolerance: largest allowed difference to the model, as a share of its largest component.
    """

    model: str = MODEL
    output: str
    format: Literal["onnx", "torch_export", "safetensors"] | None = None
    tolerance: float = 1e-4


@dataclass(kw_only=True)
class ExportConfig(ExportModel, CheckedChoices):
    """Keys of ``asl export``."""
