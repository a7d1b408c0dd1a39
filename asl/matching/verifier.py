"""The verifier: is this query an edited copy of this reference?"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from asl.matching.align.homography import (
    apply,
    clipped_outline,
    corners,
    inverse,
    jacobian,
    polygon_area,
)
from asl.matching.align.prepare import Prepared, prepare
from asl.matching.decision.explain import direction_of, explain
from asl.matching.decision.trees import TreeModel, load_model
from asl.matching.evidence.examine import Findings, examine
from asl.matching.values import Alignment, Matrix, Region, Settings, Verdict

_LITTLE = 0.2  # with less than this to look at and no alignment, the embedding should decide


@dataclass(frozen=True, eq=False)
class Verifier:
    """Aligns a pair, compares what is left, and decides in the direction query -> reference.

    Attributes:
        model: from evidence to a probability; the packaged one unless another is given.
        settings: how hard to look.
    """

    model: TreeModel = field(default_factory=load_model)
    settings: Settings = field(default_factory=Settings)

    def prepare(self, image: npt.NDArray[np.uint8]) -> Prepared:
        """Working-size copy and local features of one image; can be kept (see :mod:`asl.matching.run.disk_cache`)."""
        return prepare(image, self.settings)

    def verify(
        self, query_image: npt.NDArray[np.uint8], reference_image: npt.NDArray[np.uint8]
    ) -> Verdict:
        """Decide one pair of images.

        Args:
            query_image: uint8 ``[H, W, 3]`` RGB, the edited image, perhaps.
            reference_image: uint8 ``[H, W, 3]`` RGB, the original, perhaps.

        Returns:
            The verdict for query -> reference; swapping the two asks another question.

        Raises:
            AslError: an image is not such an array.
        """
        return self.judge(self.prepare(query_image), self.prepare(reference_image))

    def judge(self, query: Prepared, reference: Prepared) -> Verdict:
        """Decide one pair of prepared images."""
        return self.verdict(query, reference, examine(query, reference, self.settings))

    def verdict(self, query: Prepared, reference: Prepared, findings: Findings) -> Verdict:
        """The verdict on what :func:`asl.matching.evidence.examine.examine` found."""
        evidence = findings.evidence
        probability = float(self.model.probability(evidence.vector()[None])[0])
        regions = tuple(_region(item, query.shape, reference.shape) for item in findings.alignments)
        kept = tuple(region for region in regions if len(region.query_outline))
        return Verdict(
            probability=probability,
            evidence=evidence,
            regions=kept,
            reason=explain(probability, evidence, kept, findings),
            direction=direction_of(probability, evidence),
            seen=bool(evidence.aligned or evidence.seen >= _LITTLE),
        )


def _region(alignment: Alignment, query: tuple[int, int], reference: tuple[int, int]) -> Region:
    outline = clipped_outline(alignment.matrix, reference, query)
    back = apply(inverse(alignment.matrix), outline) if len(outline) else outline
    local = jacobian(alignment.matrix, corners(reference).mean(axis=0))
    if alignment.mirrored:
        local = local @ np.diag([-1.0, 1.0])
    whole = polygon_area(back) / _pixels(reference)
    return Region(
        query_outline=_as_shares(outline, query),
        reference_outline=_as_shares(back, reference),
        mirrored=alignment.mirrored,
        rotation=float(
            -np.rad2deg(np.arctan2(local[1, 0] - local[0, 1], local[0, 0] + local[1, 1]))
        ),
        scale=float(np.sqrt(polygon_area(outline) / _pixels(query) / max(whole, 1e-9))),
    )


def _pixels(shape: tuple[int, int]) -> float:
    return max(1.0, (shape[0] - 1.0) * (shape[1] - 1.0))


def _as_shares(points: Matrix, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    size = np.maximum(np.array([shape[1] - 1.0, shape[0] - 1.0]), 1.0)
    return np.asarray(np.clip(points.reshape(-1, 2) / size, 0.0, 1.0), dtype=np.float32)
