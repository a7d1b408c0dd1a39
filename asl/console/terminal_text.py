"""Make text from outside harmless for a terminal."""

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
