"""Folder of what is kept for the user from one command to the next."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path

FOLDER_VARIABLE = "ASL_CACHE"
OFF = "off"


def cache_folder() -> Path | None:
    """Return the folder of the user's cache; None where it is switched off.

    ``ASL_CACHE`` names another folder, or is ``off``.
    """
    given = os.environ.get(FOLDER_VARIABLE, "")
    if given.lower() == OFF:
        return None
    return Path(given).expanduser() if given else user_cache_path("asl", appauthor=False)
