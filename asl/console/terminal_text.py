"""Text for a terminal: made harmless where it is from outside, sizes for people."""

from __future__ import annotations

import re
import unicodedata

# Control characters, and invisible ones that turn the direction of writing, for example.
_UNSEEN_CATEGORIES = ("Cc", "Cf")
# A byte of a file name that is not UTF-8: as Python decodes it, and as ``repr`` shows that.
_UNDECODED = re.compile(r"[\ud800-\udfff]")
_UNDECODED_IN_QUOTES = re.compile(r"\\udc([89a-f][0-9a-f])")


def terminal_text(text: object, *, lines: bool = False) -> str:
    r"""Escape control characters: names of files and messages about them drive no terminal.

    Bytes of a name that are not UTF-8 are shown as in tables and pages.

    Args:
        text: from outside.
        lines: keep line feeds, for a message of several lines.

    >>> print(terminal_text("a[b]" + chr(27) + "[2J.jpg"))
    a[b]\x1b[2J.jpg
    >>> print(terminal_text("caf" + chr(0xDCE9) + ".jpg"), terminal_text(repr(chr(0xDCE9))))
    caf\xe9.jpg '\xe9'
    """
    shown = _UNDECODED_IN_QUOTES.sub(r"\\x\1", str(text))
    if _UNDECODED.search(shown):
        from asl.storage import printable_name  # loaded on use: it takes a quarter of a second

        shown = printable_name(shown)
    return "".join(
        letter
        if (lines and letter == "\n") or unicodedata.category(letter) not in _UNSEEN_CATEGORIES
        else letter.encode("unicode_escape").decode("ascii")
        for letter in shown
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
