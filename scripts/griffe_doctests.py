"""Griffe extension of mkdocs.yml: doctests of docstrings become code blocks on the API page.

Markdown would read ``>>>`` as a quotation. Examples sections of Google style need no help; most
docstrings show a doctest without one.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_DOCTEST = re.compile(r"(?:^ *>>>.*\n?)(?:^ *\S.*\n?)*", re.MULTILINE)


class DoctestBlocks(griffe.Extension):
    """Put fences around the doctests of every docstring."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Rewrite the docstring of one module, class, function or attribute."""
        if obj.docstring and "Examples:" not in obj.docstring.value:
            text = _DOCTEST.sub(_fenced, obj.docstring.value)
            obj.docstring.value = text


def _fenced(found: re.Match[str]) -> str:
    return f"```python\n{found[0].rstrip()}\n```\n"
