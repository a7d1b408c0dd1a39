"""Direct a matching pair: which image is the original, and how probable each is as the parent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from asl.app.pairs.edits_seen import directed_edits
from asl.app.pairs.origin import Origin, find_origin
from asl.app.pairs.pair_verdict import PairVerdict
from asl.app.pairs.same_moment import may_be_same_moment, may_be_shots, were_shot_apart
from asl.app.scanning.result import MatchedPair, ScanImage


def directed_pair(
    images: Sequence[ScanImage],
    first: int,
    second: int,
    cosine: float,
    verdict: PairVerdict,
) -> MatchedPair:
    """Decide which of two images is the original.

    Args:
        images: of the scan.
        first: number of an image.
        second: number of the other.
        cosine: of their embeddings.
        verdict: of the pair (first, second).
    """
    origin = find_origin(
        verdict,
        images[first].facts,
        images[second].facts,
        first_log_norm=images[first].log_norm,
        second_log_norm=images[second].log_norm,
    )
    if origin.vote >= 0:
        first, second = second, first
        verdict = verdict.flipped()
    else:
        origin = Origin(-origin.vote, origin.why)
    edits, back_edits = (
        directed_edits(
            verdict,
            copy_is_first=copy_is_first,
            first=images[first].facts,
            second=images[second].facts,
        )
        for copy_is_first in (False, True)
    )
    facts = images[first].facts, images[second].facts
    return MatchedPair(
        first,
        second,
        cosine,
        replace(verdict, edits=edits),
        origin,
        back_edits,
        _weight(verdict.backward, origin.vote),
        _weight(verdict.forward, -origin.vote),
        were_shot_apart(*facts),
        may_be_same_moment(verdict) and may_be_shots(*facts),
    )


def _weight(probability: float, vote: float) -> int:
    """Log-odds of a direction in thousandths."""
    p = min(max(probability, 1e-4), 1 - 1e-4)
    return round(1000 * (math.log(p / (1 - p)) + vote))
