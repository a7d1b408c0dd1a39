"""Files of one shot, which belong together: RAW and camera JPEG, Live Photo and video, sidecars.

They have one name but for the ending, in one folder: ``IMG_1.CR2`` and ``IMG_1.JPG``,
``IMG_2.HEIC`` and ``IMG_2.MOV``, ``IMG_1.xmp`` or ``IMG_1.CR2.xmp``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from asl.data.signatures import RAW_EXTENSIONS

PHOTOS = frozenset({".jpg", ".jpeg", ".heic", ".heif", ".hif"})  # that a camera writes
VIDEOS = frozenset({".mov", ".mp4"})  # of a Live Photo
SIDECARS = frozenset({".xmp", ".aae", ".thm"})
_OTHERS = {
    **dict.fromkeys(PHOTOS, RAW_EXTENSIONS | VIDEOS | SIDECARS),
    **dict.fromkeys(RAW_EXTENSIONS, PHOTOS | VIDEOS | SIDECARS),
}


def raw_of_photos(paths: Iterable[str]) -> set[str]:
    """Return the RAW files among some files that have the JPEG or HEIC of their shot among them."""
    raw: dict[tuple[str, str], list[str]] = {}
    photos: set[tuple[str, str]] = set()
    for path in paths:
        shot, ending = _shot(path)
        if ending in RAW_EXTENSIONS:
            raw.setdefault(shot, []).append(path)
        elif ending in PHOTOS:
            photos.add(shot)
    return {path for shot, files in raw.items() if shot in photos for path in files}


class ShotFiles:
    """Find the other files of a shot; every folder is listed once."""

    def __init__(self) -> None:
        """Start with no folder listed."""
        self._folders: dict[str, dict[str, list[str]]] = {}

    def beside(self, path: str) -> tuple[str, ...]:
        """Return the names of the other files of the shot of a photo, sorted.

        Who moves or deletes the photo should take them along.
        """
        (folder, stem), ending = _shot(path)
        name = os.path.basename(path)
        listed = self._listed(folder)
        others = _OTHERS.get(ending, frozenset())
        same = {other for other in listed.get(stem, ()) if _ending(other) in others}
        same |= {other for other in listed.get(name.casefold(), ()) if _ending(other) in SIDECARS}
        return tuple(sorted(same - {name}))

    def _listed(self, folder: str) -> dict[str, list[str]]:
        """Return the names in a folder by their stem, in small letters."""
        if folder not in self._folders:
            by_stem: dict[str, list[str]] = {}
            try:
                names = os.listdir(folder)
            except OSError:  # gone since it was listed
                names = []
            for name in names:
                by_stem.setdefault(os.path.splitext(name)[0].casefold(), []).append(name)
            self._folders[folder] = by_stem
        return self._folders[folder]


def _shot(path: str) -> tuple[tuple[str, str], str]:
    """Return (folder, stem in small letters) and the ending in small letters."""
    folder, name = os.path.split(path)
    stem, ending = os.path.splitext(name)
    return (folder, stem.casefold()), ending.lower()


def _ending(name: str) -> str:
    return os.path.splitext(name)[1].lower()
