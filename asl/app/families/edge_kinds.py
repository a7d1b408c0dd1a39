"""Name the kinds of edits between a picture and its parent in one word each."""

from __future__ import annotations

from collections.abc import Iterable

# Start of an edit in words (asl/app/pairs/edits_seen.py) -> kind, in the order in which they are
# listed.
_KINDS = (
    ("exact copy", "identical"),
    ("shown in a screenshot", "screenshot"),
    ("pasted into", "pasted into"),
    ("framed", "framed"),
    ("cropped", "cropped"),
    ("mirrored", "mirrored"),
    ("turned", "turned"),
    ("bent", "bent"),
    ("text or lines", "captioned"),
    ("inverted", "recoloured"),
    ("made grey", "recoloured"),
    ("colour channels", "recoloured"),
    ("tones or colours", "recoloured"),
    ("blurred", "blurred"),
    ("noise", "noisy"),
    ("strongly compressed", "compressed"),
    ("made smaller", "smaller"),
    ("enlarged", "larger"),
    ("saved as", "re-saved"),
    ("re-encoded", "re-saved"),
)
KINDS = (*dict.fromkeys(kind for _, kind in _KINDS), "covered")


def edge_kinds(edits: Iterable[str]) -> tuple[str, ...]:
    """Return the kinds of some edits, each once, in the order of :data:`KINDS`.

    >>> edge_kinds(("cropped to 61 %", "saved as PNG", "12 % covered (text, sticker, logo)"))
    ('cropped', 're-saved', 'covered')
    """
    named = {_kind(edit) for edit in edits}
    return tuple(kind for kind in KINDS if kind in named)


def _kind(edit: str) -> str:
    for start, kind in _KINDS:
        if edit.startswith(start):
            return kind
    return "covered" if "% covered" in edit else "re-saved"
