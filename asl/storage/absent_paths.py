"""Words for a path where nothing is."""

from __future__ import annotations

import os
from pathlib import Path


def dead_link(path: str | Path) -> str:
    """Say where a link leads that has nothing at its end; empty for what exists or is no link."""
    if not os.path.islink(path) or os.path.exists(path):
        return ""
    return f"a link to {os.readlink(path)}, which leads nowhere"


def absent(path: str | Path) -> str:
    """Say that nothing is at a path, for messages that go on with what to do."""
    link = dead_link(path)
    return f"{path} is {link}" if link else f"there is no {path}"
