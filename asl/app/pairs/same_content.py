"""Verdicts that need no comparison: the same file, or the same pixels in two files."""

from __future__ import annotations

from asl.app.library.facts import Facts
from asl.app.pairs.pair_verdict import SAME_FILE, SAME_PIXELS, PairVerdict


def same_content(
    first: tuple[str, Facts],
    second: tuple[str, Facts],
) -> PairVerdict | None:
    """Return the verdict on two images of one content; None where they have to be compared.

    Args:
        first: SHA-256 of the encoded bytes of one image, and its facts.
        second: the same of the other one.
    """
    if first[0] == second[0]:
        return SAME_FILE
    return SAME_PIXELS if first[1].same_picture(second[1]) else None
