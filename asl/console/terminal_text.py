"""Text for a terminal: made harmless where it is from outside, sizes for people."""

from __future__ import annotations

import unicodedata

# Control characters, and invisible ones that turn the direction of writing, for example.
_UNSEEN_CATEGORIES = ("Cc", "Cf")


def terminal_text(text: object, *, lines: bool = False) -> str:
    r"""Escape control characters: names of files and messages about them drive no terminal.

    Args:
        text: from outside.
        lines: keep line feeds, for a message of several lines.

    >>> print(terminal_text("a[b]" + chr(27) + "[2J.jpg"))
    a[b]\x1b[2J.jpg
    """
    return "".join(
        letter
        if (lines and letter == "\n") or unicodedata.category(letter) not in _UNSEEN_CATEGORIES
        else letter.encode("unicode_escape").decode("ascii")
        for letter in str(text)
    )


def byte_text(count: int) -> str:
    """Return a number of bytes for people.

    >>> byte_text(0), byte_text(99), byte_text(12_345_678), byte_text(3_200_000_000)
    ('0 kB', '1 kB', '12.3 MB', '3.2 GB')
    """
    if count > 1e9:
        return f"{count / 1e9:.1f} GB"
    return (
        f"{count / 1e6:.1f} MB" if count > 1e6 else f"{max(int(count > 0), round(count / 1e3))} kB"
    )
