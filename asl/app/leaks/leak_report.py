"""Write leaks as one self-contained HTML page: pairs of pictures by kind, numbers of the splits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from asl.app.leaks.find_leaks import KINDS, Kind, Leak, Leaks
from asl.app.leaks.left_out import left_out_text
from asl.data.images import ImageError, decode_image
from asl.report.page import picture_address, render
from asl.storage import atomic_text, recorded

PAGE_FOLDER = "app/leaks/page"
THUMBNAIL_SIDE = 220  # pixels of the longer side in the page
THUMBNAIL_QUALITY = 74  # of the JPEG
MEANINGS: Mapping[Kind, str] = {
    "identical file": "the same file, byte for byte",
    "same pixels": "another file that decodes to the same pixels",
    "copy": "an edited or re-encoded copy of the whole picture",
    "crop": "a copy that shows a part of the other picture",
    "same moment": "another frame of the same scene: similar, but not a copy",
}


def write_leak_report(
    leaks: Leaks,
    path: Path,
    *,
    thumbnail: Callable[[str], bytes],
    limit: int,
    numbers: Mapping[str, Any],
) -> int:
    """Write the page.

    Args:
        leaks: of a data set.
        path: of the HTML file.
        thumbnail: digest -> JPEG.
        limit: most pairs in the page, a part of each kind; the page tells how many are left out.
        numbers: summary of the search.

    Returns:
        Number of pairs in the page.
    """
    by_kind = {kind: [leak for leak in leaks.leaks if leak.kind == kind] for kind in KINDS}
    shown = _shares([len(listed) for listed in by_kind.values()], limit)
    pictures: dict[str, str] = {}
    sections = []
    for (kind, listed), count in zip(by_kind.items(), shown, strict=True):
        for digest in (digest for leak in listed[:count] for digest in leak.digests):
            if digest not in pictures:
                pictures[digest] = _picture(thumbnail(digest))
        sections.append(
            {
                "kind": kind,
                "meaning": MEANINGS[kind],
                "count": len(listed),
                "pairs": [_pair(leaks, leak) for leak in listed[:count]],
            }
        )
    text = render(
        "leaks.html",
        folder=PAGE_FOLDER,
        numbers=numbers,
        left_out=left_out_text(numbers["left_out"]),
        sections=[section for section in sections if section["count"]],
        pictures=pictures,
    )
    with recorded(path), atomic_text(path) as file:
        file.write(text)
    return sum(shown)


def _shares(counts: list[int], limit: int) -> list[int]:
    """Share a number of places: small kinds are shown whole, the rest is left to the others.

    >>> _shares([2, 100, 50], 60)
    [2, 29, 29]
    """
    shares = [0] * len(counts)
    left = limit
    waiting = sorted(range(len(counts)), key=lambda place: counts[place])
    for number, place in enumerate(waiting):
        shares[place] = min(counts[place], left // (len(waiting) - number))
        left -= shares[place]
    return shares


def _pair(leaks: Leaks, leak: Leak) -> dict[str, Any]:
    roles = {"train->test": ("original", "copy"), "test->train": ("copy", "original")}
    train_role, test_role = roles.get(leak.direction, ("", ""))
    train, test = (leaks.typed_path(name) for name in (leak.train, leak.test))
    return {
        "sides": [
            {"split": leak.train_split, "name": train, "role": train_role, "at": leak.digests[0]},
            {"split": leak.test_split, "name": test, "role": test_role, "at": leak.digests[1]},
        ],
        "sign": {"train->test": "→", "test->train": "←", "same file": "="}.get(leak.direction, "–"),
        "probability": leak.probability,
        "notes": [", ".join(leak.edits), leak.reason, leak.why],
    }


def _picture(data: bytes) -> str:
    """Shrink a JPEG and return it as a data: address; empty if there is no image."""
    try:
        image = decode_image(data)
    except ImageError:
        return ""
    return picture_address(image, side=THUMBNAIL_SIDE, quality=THUMBNAIL_QUALITY)
