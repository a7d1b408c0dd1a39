"""Take the text of a command line as it was typed."""

from __future__ import annotations

import csv
import io
import os


def split_list(text: str) -> list[str]:
    """Split a list.

    >>> split_list('[a.csv,"b,c.csv"]'), split_list("112, 160"), split_list("[]")
    (['a.csv', 'b,c.csv'], ['112', '160'], [])
    """
    inner = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    rows = list(csv.reader(io.StringIO(inner), skipinitialspace=True))
    return [item.strip() for item in rows[0]] if rows else []


def as_typed(text: str) -> str:
    """Return a text without a pair of quotes around it, a leading ``~`` expanded.

    >>> as_typed('"HNSW,M=16"'), as_typed("2024_11_29"), as_typed("${set}")
    ('HNSW,M=16', '2024_11_29', '${set}')
    """
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    return os.path.expanduser(text) if text.startswith("~") else text
