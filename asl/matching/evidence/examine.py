"""Extract verification evidence from a pair of prepared images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from asl.matching.align.dense import align_dense
from asl.matching.align.feature_alignment import Matches, align, all_matches
from asl.matching.align.learned_alignment import (
    agreeing,
    align_learned,
    all_learned_matches,
    softened_matches,
)
from asl.matching.align.plane_geometry import distortion, mirror_matrix
from asl.matching.align.prepare import Prepared
from asl.matching.evidence.agreement import Comparison
from asl.matching.evidence.bend import matched_flow, unbend
from asl.matching.evidence.direction import coverage
from asl.matching.evidence.overlay import lay_over
from asl.matching.values import Alignment, Evidence, Settings

_MIN_AGREEMENT = 0.3  # median local correlation below which the negative is tried as well
_CLEAR_AGREEMENT = 0.6  # first quartile from which no other alignment is looked for
# Learned features of strangers agree by chance in every twentieth pair; their pixels do not.
_LEAST_AGREEMENT = 0.25
_LEARNED_WEIGHT = 0.2  # of a learned feature that agrees by chance five times as easily as another
_NO_BEND_AGREEMENT = 0.6  # first decile of the local correlation from which no bend is tried
_MIN_BEND_MATCHES = 20  # agreeing and nearly agreeing matches from which a bend is tried
_FULLY_SEEN_FEATURES = 60  # local features from which an image counts as fully seen
_Best = tuple[list[Alignment], Comparison]  # best first, and the comparison of the first


@dataclass(frozen=True, eq=False)
class Findings:
    """Evidence of a pair and the measurements behind it.

    Attributes:
        evidence: input of the decision.
        alignments: best first; empty where none was found.
        comparison: agreement of the pair, overlaid by the best alignment.
        negative: the query was read as a photographic negative.
    """

    evidence: Evidence
    alignments: tuple[Alignment, ...] = ()
    comparison: Comparison | None = None
    negative: bool = False


def examine(query: Prepared, reference: Prepared, settings: Settings) -> Findings:
    """Align a pair, overlay it, and measure agreement, coverage and direction.

    Args:
        query: the possible copy.
        reference: the possible original.
        settings: tolerances, readings, number of regions.
    """
    reading = _align_reading(query, reference, settings)
    inverted = False
    if _agreement(reading) < _MIN_AGREEMENT:
        negative = query.negative  # an inverted copy agrees with nothing until inverted back
        negative_reading = _align_reading(negative, reference, settings, negative=True)
        least = max(_agreement(reading), _MIN_AGREEMENT)
        inverted = _agreement(negative_reading) > least
        if inverted:
            query, reading = negative, negative_reading
    seen = _seen(query, reference)
    if reading.best is None:
        return Findings(Evidence(seen=seen, parallax=0.0, support=0.0))
    alignments, comparison = reading.best
    main = alignments[0]
    evidence = Evidence(
        aligned=1.0,
        seen=seen,
        inliers=float(np.log1p(0 if main.learned else main.inliers)),
        support=0.0 if main.learned else _share(main.inliers, reading.matches),
        parallax=main.near / max(main.near + main.inliers, 1),
        residual=main.residual,
        distortion=distortion(main.matrix, reference.shape),
        mirrored=float(main.mirrored),
        dense=float(main.dense),
        **_learned(main, reading.learned, query, reference, settings),
        **comparison.values,
        **_bent(main, comparison, reading.matches, query.shape[1]),
        **coverage(query, reference, alignments),
    )
    return Findings(evidence, tuple(alignments), comparison, inverted)


def _bent(
    alignment: Alignment,
    comparison: Comparison,
    readings: list[Matches],
    width: int,
) -> dict[str, float]:
    """Measure the agreement after a smooth bend, tried where many features match roughly."""
    before, overlay = comparison.quantiles, comparison.overlay
    values = {f"bent_{name}": before[f"corr_{name}"] for name in ("low", "quarter", "kept")}
    if (
        before["corr_low"] >= _NO_BEND_AGREEMENT
        or alignment.inliers + alignment.near < _MIN_BEND_MATCHES
    ):
        return values
    own = next((matches for matches in readings if matches.mirrored == alignment.mirrored), None)
    bent = unbend(
        overlay, matched_flow(overlay, alignment, own, width) if own is not None else None
    )
    if bent is None:
        return values
    after = Comparison(bent[0]).quantiles
    return {f"bent_{name}": after[f"corr_{name}"] for name in ("low", "quarter", "kept")} | bent[1]


@dataclass(frozen=True, eq=False)
class _AlignedReading:
    """Best alignments of one reading of a pair, and the matches behind them."""

    best: _Best | None
    matches: list[Matches]
    learned: list[Matches]


def _align_reading(
    query: Prepared, reference: Prepared, settings: Settings, *, negative: bool = False
) -> _AlignedReading:
    """Align by local features, or densely where that fails; a negative by SIFT features alone."""
    matches = all_matches(query, reference, settings)
    compared = _compared(query, reference, align(query, reference, matches, settings))
    learned: list[Matches] = []
    best = _best(compared)
    if settings.learned and not negative:
        is_clear = best is not None and best[1].quantiles["corr_quarter"] >= _CLEAR_AGREEMENT
        is_plain = is_clear and best is not None and not best[0][0].mirrored
        learned = all_learned_matches(query, reference, settings, is_plain=is_plain)
        if not is_clear:
            found = align_learned(query, reference, learned, settings)
            if not found and best is None:
                softened = [softened_matches(query, reference)]
                found = align_learned(query, reference, softened, settings)
                learned = softened if found else learned
            best = _best([*compared, *_compared(query, reference, found)])
            if best is not None and best[0][0].learned and not _agrees(best[1]):
                best = None
    if best is None and settings.dense and not negative:
        dense = align_dense(query, reference, mirrored=settings.mirrored)
        best = _best(_compared(query, reference, dense))
    return _AlignedReading(best, matches, learned)


def _share(agreeing_count: int, readings: list[Matches]) -> float:
    """Share of the matches of the richer reading that agree, 0..1."""
    return min(1.0, agreeing_count / max(max(len(matches) for matches in readings), 1))


def _learned(
    alignment: Alignment,
    readings: list[Matches],
    query: Prepared,
    reference: Prepared,
    settings: Settings,
) -> dict[str, float]:
    """Count the learned features that agree with an alignment, also one of SIFT features."""
    own = next((matches for matches in readings if matches.mirrored == alignment.mirrored), None)
    if own is None:  # of a negative they are not detected
        return {}
    matrix = alignment.matrix
    if alignment.mirrored:
        matrix = mirror_matrix(query.shape[1]) @ matrix
    agree, _ = agreeing(matrix, own, reference.shape, settings.tolerance)
    count = int(agree.sum())
    return {
        "learned": float(alignment.learned),
        "learned_inliers": float(np.log1p(count)),
        "learned_support": _share(count, readings),
    }


def _agrees(comparison: Comparison) -> bool:
    """Test if the pixels agree at any resolution, as those of every copy do."""
    coarse = (comparison.coarse[name] for name in ("corr_coarse", "corr_tiny"))
    return max(comparison.quantiles["corr_median"], *coarse) >= _LEAST_AGREEMENT


def _agreement(reading: _AlignedReading) -> float:
    """Median local correlation of the best overlay, -1 without one."""
    return reading.best[1].quantiles["corr_median"] if reading.best else -1.0


def _seen(query: Prepared, reference: Prepared) -> float:
    """Amount of structure, 0..1: local features of the poorer image."""
    return min(1.0, min(len(query.points), len(reference.points)) / _FULLY_SEEN_FEATURES)


def _compared(
    query: Prepared, reference: Prepared, alignments: list[Alignment]
) -> list[tuple[Alignment, Comparison]]:
    """Overlay a pair by each alignment; those without an overlap are left out."""
    overlays = [(alignment, lay_over(query, reference, alignment)) for alignment in alignments]
    return [
        (alignment, Comparison(overlay)) for alignment, overlay in overlays if overlay is not None
    ]


def _best(compared: list[tuple[Alignment, Comparison]]) -> _Best | None:
    """Sort alignments by the agreement of their overlays; None where there are none."""
    if not compared:
        return None
    if len(compared) > 1:
        rank = [
            -comparison.quantiles["corr_quarter"] * np.log1p(1 + _support(alignment))
            for alignment, comparison in compared
        ]
        compared = [compared[place] for place in np.argsort(rank, kind="stable").tolist()]
    return [alignment for alignment, _ in compared], compared[0][1]


def _support(alignment: Alignment) -> float:
    """Features that agree with an alignment, learned ones counted for less."""
    return alignment.inliers * (_LEARNED_WEIGHT if alignment.learned else 1.0)
