"""Explain one pair of images on a page: copy or not, direction, certainty.

Examples:
  asl explain photo.jpg suspect.jpg                          case.html and case.json
  asl explain photo.jpg suspect.jpg --output cases/17.html
  asl explain photo.jpg suspect.jpg --output 17.json         JSON alone

The page holds both pictures, the aligned overlay, hashes, sizes and dates of both files, the edits,
the cues for the direction, the probability with the precisions that it reaches, and the command
with all versions. It loads nothing from elsewhere and prints well. For pictures that do not match
it says why not.

Exit code: 0 the comparison was made, whatever it says, 1 failed, 2 wrong use.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from asl.console.schema_groups import CheckedChoices
from asl.shared_defaults import MODEL, PRECISION


@dataclass(kw_only=True)
class ExplainConfig(CheckedChoices):
    """Options of ``asl explain``.

    Attributes:
        first: one image file.
        second: the other one; their order has no influence on the answer.
        output: file that ends in .html or .json.
        precision: share of accepted pairs that should be right.
        model: asl_lite0, asl_lite1 or a trained model.
        max_megapixels: largest image in megapixels; JPEGs may have four times that.
        device: auto, cpu, cuda.
        quiet: print nothing but errors.
    """

    first: Path
    second: Path
    output: Path = Path("case.html")
    precision: float = PRECISION
    model: str = MODEL
    max_megapixels: float = 100
    device: str = "auto"
    quiet: bool = False
