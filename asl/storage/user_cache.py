"""Folder of what is kept for the user from one command to the next."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path

from asl.storage.wanted_paths import no_folder
from asl.types import UsageError

FOLDER_VARIABLE = "ASL_CACHE"
OFF = "off"


def cache_folder() -> Path | None:
    """Return the folder of the user's cache; None where it is switched off.

    ``ASL_CACHE`` names another folder, or is ``off``.

    Raises:
        UsageError: it is a file.
    """
    given = os.environ.get(FOLDER_VARIABLE, "")
    if given.lower() == OFF:
        return None
    folder = Path(given).expanduser() if given else user_cache_path("asl", appauthor=False)
    if folder.exists() and not folder.is_dir():
        raise UsageError(
            f"{FOLDER_VARIABLE}: {no_folder(folder)}; let it name a folder, or set it to {OFF}"
        )
    return folder
