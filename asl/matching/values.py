"""Values of the verifier: settings, alignment, evidence, regions, verdict (numpy only)."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np

from asl.types import F32, F64, U8, AslError

Image = U8
Gray = F32
Matrix = F64


@dataclass(frozen=True)
class Settings:
    """Settings of the verifier.

    Attributes:
        size: pixels of the longer side at which two images are compared, 64..1024.
        features: maximum number of local features per image, 16..5000.
        ratio: maximum distance of a match as a share of the second nearest feature's distance
            (Lowe's ratio test), 0..1.
        tolerance: maximum distance of a match from its alignment, in pixels.
        regions: maximum number of regions of one pair that are aligned separately (collage, picture
            in a scene), 1..16.
        mirrored: also try the mirrored reading.
        dense: fall back to dense alignment where local features find none.
        learned: align by learned features, too, and count those that agree.

    Raises:
        AslError: a value outside its range.
    """

    size: int = 320
    features: int = 500
    ratio: float = 0.82
    tolerance: float = 3.0
    regions: int = 3
    mirrored: bool = True
    dense: bool = True
    learned: bool = True

    def __post_init__(self) -> None:
        for name, low, high in (("size", 64, 1024), ("features", 16, 5000), ("regions", 1, 16)):
            if not low <= getattr(self, name) <= high:
                raise AslError(
                    f"settings.{name}: expected a number in {low}..{high}, "
                    f"got {getattr(self, name)}"
                )
        if not 0 < self.ratio < 1:
            raise AslError(f"settings.ratio: expected a number between 0 and 1, got {self.ratio}")
        if not 0 < self.tolerance < 50:
            raise AslError(
                f"settings.tolerance: expected a number of pixels between 0 and 50, "
                f"got {self.tolerance}"
            )


@dataclass(frozen=True, eq=False)
class Alignment:
    """Position of the reference in the query.

    Attributes:
        matrix: float64 ``[3, 3]``, reference pixel -> query pixel (both at working size), a
            homography.
        mirrored: the query shows the reference mirrored.
        inliers: local features that agree with the matrix (0 for a dense alignment).
        near: matches that nearly agree: another viewpoint or a moved object leaves many, an edit
            hardly any.
        residual: median distance of the inliers from the alignment, in pixels.
        dense: found by dense correlation, not by local features.
        learned: found by learned features; ``inliers``, ``near`` and ``residual`` are theirs.
    """

    matrix: Matrix
    mirrored: bool = False
    inliers: int = 0
    near: int = 0
    residual: float = 0.0
    dense: bool = False
    learned: bool = False


@dataclass(frozen=True)
class Evidence:
    """Measurements of an aligned pair; every field is one input of the decision.

    Shares are 0..1. ``corr_*`` are quantiles of the local correlation of the aligned pair (1 = same
    structure).

    Attributes:
        aligned: 1 where an alignment was found.
        seen: amount of structure, 0..1 (local features of the poorer image, saturating at 60).
        inliers: ln(1 + features that agree).
        support: share of the matches that agree.
        parallax: share of agreeing and nearly agreeing matches that only nearly agree.
        residual: median distance of agreeing matches from the alignment, in pixels.
        distortion: distance of the alignment from a similarity (0 = move, turn and scale only).
        corr_low: first decile of the local correlation.
        corr_quarter: first quartile.
        corr_median: median.
        corr_coarse: first decile at a quarter of the resolution: insensitive to blur.
        corr_tiny: first quartile at an eighth of the resolution: insensitive to pixelation.
        corr_inner: median at a quarter of the resolution without the rim: two photos in the same
            frame agree there.
        structure: share of the compared area without its rim that is not plain at that resolution.
        flat: share of the compared area that is one plain colour in both: much of pages, slides and
            screens, little of photographs.
        corr_kept: first decile outside compact added regions.
        corr_fine: median of the finest detail's local correlation where the structure agrees: two
            shots of one scene agree in structure, not in noise and texture.
        core: share of the compared area inside the outline of the largest compact piece that
            agrees.
        core_low: first decile of the local correlation inside that outline.
        core_holes: share of what has structure inside that outline that disagrees; 1 where nothing
            agrees.
        bent_low: ``corr_low`` after a smooth bend of the reference, where one was tried; else
            ``corr_low`` itself.
        bent_quarter: the same for ``corr_quarter``.
        bent_kept: the same for ``corr_kept``.
        bend: root mean square distance of that bend from an affine map, horizontally as a share of
            the compared area's width, vertically of its height; 0 where none was tried.
        rough: median distance of single pixels from the smooth bend, in the same shares; 0 where
            none was tried.
        moved: share of the disagreement that is found nearby in the reference; 0 where no bend was
            tried.
        gradient: agreement of edge directions, -1..1.
        tone: share of the query's brightness that one tone curve over the reference explains.
        diffuse: share of the compared area that disagrees in thin lines: another shot.
        added: share of the compared area that disagrees in compact pieces: an overlay.
        added_box: share of its smallest enclosing rectangle that the largest disagreeing piece
            fills: nearly all where a picture was pasted on, less where somebody moved.
        cover_query: share of the query that the reference covers.
        cover_reference: share of the reference that is seen in the query.
        seam_query: ln contrast across the reference's outline inside the query: a pasted picture
            has an edge there, a wider shot of the same scene continues.
        seam_reference: the same across the query's outline inside the reference: near 0 where the
            query was cut from it.
        edge_query: share of the points of that outline inside the query that are on an edge: nearly
            all of a pasted picture's, some of any other.
        edge_reference: the same for the query's outline inside the reference.
        inside_query: share of the reference's outline that is inside the query.
        inside_reference: share of the query's outline that is inside the reference.
        join_query: correlation of the brightness just inside and just outside the reference's
            outline in the query, on the side where it is highest: a wider shot continues, a pasted
            picture does not, even along an edge of the scene.
        join_reference: the same for the query's outline inside the reference.
        break_query: 1 - that correlation on the side where it is lowest.
        break_reference: the same for the query's outline inside the reference.
        echo_query: that correlation further from the outline, mean of the sides: a border filled
            with a reflection.
        echo_reference: the same for the query's outline inside the reference.
        outside_flat: share of the uncovered query that is one plain colour (padding).
        detail: ln(detail of the query / detail of the reference) in the compared area.
        mirrored: 1 where the mirrored reading was the better one.
        dense: 1 where the alignment was found by dense correlation.
        learned: 1 where it was found by learned features.
        learned_inliers: ln(1 + learned features that agree with the alignment).
        learned_support: share of the matches of learned features that agree with it.

    Raises:
        AslError: a value is not finite.
    """

    aligned: float = 0.0
    seen: float = 0.0
    inliers: float = 0.0
    support: float = 0.0
    parallax: float = 0.0
    residual: float = 0.0
    distortion: float = 0.0
    corr_low: float = 0.0
    corr_quarter: float = 0.0
    corr_median: float = 0.0
    corr_coarse: float = 0.0
    corr_tiny: float = 0.0
    corr_inner: float = 0.0
    structure: float = 0.0
    flat: float = 0.0
    corr_kept: float = 0.0
    corr_fine: float = 0.0
    core: float = 0.0
    core_low: float = 0.0
    core_holes: float = 0.0
    bent_low: float = 0.0
    bent_quarter: float = 0.0
    bent_kept: float = 0.0
    bend: float = 0.0
    rough: float = 0.0
    moved: float = 0.0
    gradient: float = 0.0
    tone: float = 0.0
    diffuse: float = 0.0
    added: float = 0.0
    added_box: float = 0.0
    cover_query: float = 0.0
    cover_reference: float = 0.0
    seam_query: float = 0.0
    seam_reference: float = 0.0
    edge_query: float = 0.0
    edge_reference: float = 0.0
    inside_query: float = 0.0
    inside_reference: float = 0.0
    join_query: float = 0.0
    join_reference: float = 0.0
    break_query: float = 0.0
    break_reference: float = 0.0
    echo_query: float = 0.0
    echo_reference: float = 0.0
    outside_flat: float = 0.0
    detail: float = 0.0
    mirrored: float = 0.0
    dense: float = 0.0
    learned: float = 0.0
    learned_inliers: float = 0.0
    learned_support: float = 0.0

    def __post_init__(self) -> None:
        for item in fields(self):
            if not math.isfinite(getattr(self, item.name)):
                raise AslError(
                    f"evidence.{item.name}: expected a finite number, "
                    f"got {getattr(self, item.name)}"
                )

    def vector(self) -> F64:
        """Values as float64 ``[E]``, in the order of :data:`EVIDENCE`."""
        return np.array([getattr(self, name) for name in EVIDENCE], dtype=np.float64)


EVIDENCE: tuple[str, ...] = tuple(item.name for item in fields(Evidence))


@dataclass(frozen=True, eq=False)
class Region:
    """One region that both images show.

    Attributes:
        query_outline: float32 ``[V, 2]`` corners (x, y) in the query as shares of its width and
            height.
        reference_outline: float32 ``[V, 2]`` the same corners in the reference.
        mirrored: the query shows it mirrored.
        rotation: degrees by which it is turned in the query, counter-clockwise on screen.
        scale: its share of the query's side over its share of the reference's side (2 = a crop of a
            quarter).
    """

    query_outline: F32
    reference_outline: F32
    mirrored: bool
    rotation: float
    scale: float


@dataclass(frozen=True, eq=False)
class Verdict:
    """The verifier's answer for one ordered pair query -> reference.

    Attributes:
        probability: that the query is an edited copy of the reference, 0..1; higher = surer.
        evidence: measurements behind the probability.
        regions: regions that both images show, best first; empty where no alignment was found.
        reason: one sentence for people.
        direction: ``"query<-reference"`` (the query was made from the reference),
            ``"reference<-query"`` (the pair is consistent, but the other way round) or ``"none"``.
        seen: False where there is too little structure to compare, so that the embedding score
            should decide.
        same_moment: probability, 0..1, that both show one scene from nearly the same place, a
            moment apart, and neither was made from the other; at most 1 - ``probability``.
    """

    probability: float
    evidence: Evidence
    regions: tuple[Region, ...]
    reason: str
    direction: str
    seen: bool
    same_moment: float = 0.0
