"""Tell a picture that was put into a frame, a bar or a screen from a wider view of the same."""

from __future__ import annotations

from asl.matching.values import Evidence

COMPLETE_SHARE = 0.97  # share of an image from which all of it is covered
PARTIAL_SHARE = 0.92  # share of an image up to which only a part is covered
# Around 24 framed pictures (bars with text, screens, plain borders) .65 to 1 and .56 to 1, around
# 18 crops of photographs, garments and drawn pages: no crop has more than .45 of an edge, and more
# than .41 of one colour only where .12 is an edge.
_LEAST_FLAT = 0.6  # share of the rest of the picture that is one plain colour
_LEAST_EDGE = 0.5  # share of the outline of the other picture that is an edge


def is_framed(evidence: Evidence) -> bool:
    """Check that the query shows all of the reference, and something plain around it.

    A wider view of the same scene continues across the outline; a plain page that a part was cut
    from is plain on both sides of it.

    Args:
        evidence: of query -> reference.
    """
    return (
        evidence.cover_reference > COMPLETE_SHARE
        and evidence.cover_query < PARTIAL_SHARE
        and evidence.outside_flat >= _LEAST_FLAT
        and evidence.edge_query >= _LEAST_EDGE
    )
