"""Pair verifier: probability and direction that a query is an edited copy of a reference."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from asl.matching.align.plane_geometry import (
    apply,
    clipped_outline,
    corners,
    inverse,
    jacobian,
    polygon_area,
)
from asl.matching.align.prepare import Prepared, prepare
from asl.matching.decision.reasons import direction_of, explain
from asl.matching.decision.trees import TreeModel, load_model, moment_model
from asl.matching.evidence.examine import Findings, examine
from asl.matching.evidence.exchanged import exchanged
from asl.matching.values import Alignment, Evidence, Matrix, Region, Settings, Verdict
from asl.types import F32, U8

_MIN_SEEN = 0.2  # evidence.seen below which a pair without alignment is left to its embedding


@dataclass(frozen=True, eq=False)
class Verifier:
    """Align a pair, compare the aligned pixels, and decide in the direction query -> reference.

    Attributes:
        model: evidence -> probability; the packaged model unless another is given.
        moments: evidence -> probability of two shots of one moment; as packaged unless another
            model is given.
        settings: working size, number of features, tolerances.
    """

    model: TreeModel = field(default_factory=load_model)
    moments: TreeModel = field(default_factory=moment_model)
    settings: Settings = field(default_factory=Settings)

    def prepare(self, image: U8) -> Prepared:
        """Scale one image and detect its local features.

        The result can be stored; see :mod:`asl.matching.run.disk_cache`.

        Args:
            image: uint8 ``[H, W, 3]`` RGB or ``[H, W]`` gray.

        Raises:
            AslError: ``image`` is not such an array.
        """
        return prepare(image, self.settings)

    def verify(self, query_image: U8, reference_image: U8) -> Verdict:
        """Verify one pair of images.

        Args:
            query_image: the possible copy, uint8 ``[H, W, 3]`` RGB.
            reference_image: the possible original, uint8 ``[H, W, 3]`` RGB.

        Returns:
            The verdict for query -> reference; swapping the two asks another question.

        Raises:
            AslError: an image is not such an array.

        >>> import numpy as np
        >>> blank = np.full((64, 64, 3), 255, np.uint8)
        >>> verdict = Verifier().verify(blank, blank)
        >>> verdict.seen, verdict.reason
        (False, 'too little structure to compare')
        """
        return self.verify_prepared(self.prepare(query_image), self.prepare(reference_image))

    def verify_prepared(self, query: Prepared, reference: Prepared) -> Verdict:
        """Verify one pair of prepared images; see :meth:`verify`."""
        return self.decide(query, reference, examine(query, reference, self.settings))

    def predicted_backward(self, verdict: Verdict) -> tuple[float, float]:
        """Predict ``probability`` and ``same_moment`` of the other direction from a verdict.

        The same alignment is assumed, which holds where local features found it; see
        :func:`asl.matching.evidence.exchanged.exchanged`.
        """
        return self._probabilities(exchanged(verdict.evidence))

    def _probabilities(self, evidence: Evidence) -> tuple[float, float]:
        """Probability of a copy and of two shots of one moment; together at most 1."""
        measured = evidence.vector()[None]
        probability = float(self.model.probability(measured)[0])
        moment = float(self.moments.probability(measured)[0]) if evidence.aligned else 0.0
        return probability, min(moment, 1.0 - probability)

    def decide(self, query: Prepared, reference: Prepared, findings: Findings) -> Verdict:
        """Turn the findings of :func:`asl.matching.evidence.examine.examine` into a verdict."""
        evidence = findings.evidence
        probability, moment = self._probabilities(evidence)
        # Dense alignment of two plain images succeeds by chance: without a single local feature in
        # one of them there is no verdict.
        seen = evidence.seen > 0 and (evidence.aligned or evidence.seen >= _MIN_SEEN)
        regions = tuple(_region(item, query.shape, reference.shape) for item in findings.alignments)
        visible = tuple(region for region in regions if len(region.query_outline))
        return Verdict(
            probability=probability,
            evidence=evidence,
            regions=visible,
            reason=explain(probability, evidence, visible, findings),
            direction=direction_of(probability, evidence),
            seen=bool(seen),
            same_moment=moment if seen else 0.0,
        )


def _region(alignment: Alignment, query: tuple[int, int], reference: tuple[int, int]) -> Region:
    """Outlines, rotation and scale of an alignment; shapes are (height, width)."""
    outline = clipped_outline(alignment.matrix, reference, query)
    in_reference = apply(inverse(alignment.matrix), outline) if len(outline) else outline
    local = jacobian(alignment.matrix, corners(reference).mean(axis=0))
    if alignment.mirrored:
        local = local @ np.diag([-1.0, 1.0])
    reference_share = polygon_area(in_reference) / _pixels(reference)
    return Region(
        query_outline=_as_shares(outline, query),
        reference_outline=_as_shares(in_reference, reference),
        mirrored=alignment.mirrored,
        rotation=float(
            -np.rad2deg(np.arctan2(local[1, 0] - local[0, 1], local[0, 0] + local[1, 1]))
        ),
        scale=float(np.sqrt(polygon_area(outline) / _pixels(query) / max(reference_share, 1e-9))),
    )


def _pixels(shape: tuple[int, int]) -> float:
    """Area spanned by the pixel centres of an image, at least 1."""
    return max(1.0, (shape[0] - 1.0) * (shape[1] - 1.0))


def _as_shares(points: Matrix, shape: tuple[int, int]) -> F32:
    """Points in pixels as shares of width and height, clipped to 0..1."""
    size = np.maximum(np.array([shape[1] - 1.0, shape[0] - 1.0]), 1.0)
    return np.asarray(np.clip(points.reshape(-1, 2) / size, 0.0, 1.0), dtype=np.float32)
