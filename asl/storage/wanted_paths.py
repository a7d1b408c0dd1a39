"""Words for a path that is not what is wanted there, and folders made with them."""

from __future__ import annotations

import os
from pathlib import Path

from asl.types import AslError, UsageError


def dead_link(path: str | Path) -> str:
    """Say where a link leads that has nothing at its end; empty for what exists or is no link."""
    if not os.path.islink(path) or os.path.exists(path):
        return ""
    return f"a link to {os.readlink(path)}, which leads nowhere"


def absent(path: str | Path) -> str:
    """Say that nothing is at a path, for messages that go on with what to do."""
    link = dead_link(path)
    return f"{path} is {link}" if link else f"there is no {path}"


def no_folder(path: str | Path) -> str:
    """Say why a path is no folder, for messages that go on with what to do."""
    if os.path.exists(path):
        return f"{path} is a file, not a folder"
    return absent(path) if dead_link(path) else f"there is no folder {path}"


def make_folder(path: str | Path, *, name: str = "") -> None:
    """Create a folder and those above it, where they are missing.

    Args:
        path: of the folder.
        name: of the argument, for errors.

    Raises:
        UsageError: a file, or a link that leads nowhere, is where a folder should be.
        AslError: it cannot be created for another reason.
    """
    folder, start = Path(path), f"{name}: " if name else ""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        around = [folder, *folder.parents]
        place = next((at for at in around if os.path.lexists(at) and not at.is_dir()), folder)
        raise UsageError(f"{start}{no_folder(place)}; choose another path") from error
    except OSError as error:
        raise AslError(
            f"{start}{path}: cannot be created ({error.strerror}); check its permissions, or "
            "choose another path"
        ) from error
