"""Counts for people: a number with its noun in the singular or the plural."""

from __future__ import annotations


def counted(count: int, one: str, many: str = "") -> str:
    """Write a count and what it counts.

    Args:
        count: 0 or more.
        one: words for a single one.
        many: words for any other number; without them ``one`` and an *s*.

    >>> counted(1, "pair"), counted(0, "pair"), counted(1200, "copy", "copies")
    ('1 pair', '0 pairs', '1,200 copies')
    """
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"
