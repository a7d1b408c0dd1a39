"""Correct the weights of parents by what a copy cannot win back: colours, and JPEG's exact pixels.

The weights are learned from pictures in general; these few facts decide about single ones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from asl.app.families.parentage import Relation
from asl.app.library.facts import Facts

LOSS = 6.0  # log-odds against a copy that has what its parent lacks
_LEAD = 0.001  # log-odds of a JPEG before a lossless file of its pixels
Weights = Sequence[tuple[float, float]]


def without_certain_losses(
    pairs: Sequence[Relation], facts: Sequence[Facts], weights: Weights
) -> list[tuple[float, float]]:
    """Correct the weights of both directions of every pair.

    A picture with colours was not made from a grey one, nor a JPEG from a lossless file with its
    very pixels. A copy of such a file stands under the JPEG, whose pixels are the same.

    Args:
        pairs: whose weights are corrected.
        facts: by number of image.
        weights: per pair the log-odds that the second was made from the first, then that the first
            was made from the second.
    """
    corrected = []
    sources = {}  # lossless file -> JPEG with its pixels
    for pair, (forward, backward) in zip(pairs, weights, strict=True):
        jpeg_first = _is_source(facts[pair.first], facts[pair.second])
        jpeg_second = _is_source(facts[pair.second], facts[pair.first])
        if jpeg_first:
            sources[pair.second] = pair.first
        if jpeg_second:
            sources[pair.first] = pair.second
        corrected.append(
            (
                forward - LOSS * (pair.verdict.greyed > 0 or jpeg_second),
                backward - LOSS * (pair.verdict.greyed < 0 or jpeg_first),
            )
        )
    return _under_sources(pairs, corrected, sources)


def _is_source(one: Facts, other: Facts) -> bool:
    """Check for a JPEG whose pixels a file of another format holds; a JPEG of it would differ."""
    formats = one.format == "JPEG", bool(other.format) and other.format != "JPEG"
    return all(formats) and one.same_pixels(other)


def _under_sources(
    pairs: Sequence[Relation], weights: list[tuple[float, float]], sources: dict[int, int]
) -> list[tuple[float, float]]:
    """Raise the weight of a JPEG as the parent above that of the lossless file of its pixels."""
    if not sources:
        return weights
    of_lossless: dict[tuple[int, int], float] = defaultdict(lambda: float("-inf"))
    for pair, (forward, backward) in zip(pairs, weights, strict=True):
        for parent, child, weight in (
            (pair.first, pair.second, forward),
            (pair.second, pair.first, backward),
        ):
            if parent in sources and sources[parent] != child:
                key = sources[parent], child
                of_lossless[key] = max(of_lossless[key], weight + _LEAD)
    return [
        (
            max(forward, of_lossless[pair.first, pair.second]),
            max(backward, of_lossless[pair.second, pair.first]),
        )
        for pair, (forward, backward) in zip(pairs, weights, strict=True)
    ]
