"""Write the result of a scan as one self-contained HTML page: thumbnails, groups, numbers."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from asl.app.library.shots import ShotFiles
from asl.app.scanning.result import MatchedPair, ScanImage, ScanResult
from asl.data.images import ImageError, decode_image
from asl.report.page import picture_address, render
from asl.storage import atomic_text, printable_name, recorded

PAGE_FOLDER = "app/scanning/page"
THUMBNAIL_SIDE = 256  # pixels of the longer side in the page
THUMBNAIL_QUALITY = 74  # of the JPEG


def write_gallery(
    result: ScanResult,
    path: Path,
    *,
    thumbnail: Callable[[str], bytes],
    limit: int,
    facts: Mapping[str, Any],
) -> int:
    """Write the page.

    Args:
        result: of a scan.
        path: of the HTML file.
        thumbnail: digest -> JPEG.
        limit: most pairs in the page, surest first; the page tells how many are left out.
        facts: numbers of the scan for the foot of the page.

    Returns:
        Number of pairs in the page.
    """
    pairs = result.pairs[:limit]
    numbers = dict.fromkeys(number for pair in pairs for number in (pair.original, pair.copy))
    identical_only = [
        number
        for number, image in enumerate(result.images)
        if number not in numbers and result.has_twins(image)
    ]
    numbers.update(dict.fromkeys(identical_only[: max(0, limit - len(pairs))]))
    # In the scan's order: the number of an image breaks ties between groups, as in the table.
    ordered = sorted(numbers)
    place = {number: index for index, number in enumerate(ordered)}
    shots = ShotFiles()
    data = {
        "images": [
            _image(result, result.images[number], path.parent, thumbnail, shots)
            for number in ordered
        ],
        "pairs": [_pair(pair, place) for pair in pairs],
        "left_out": len(result.pairs) - len(pairs),
        "across": result.across,
        "threshold": result.threshold,
        "precision": result.precision,
    }
    title = os.path.basename(str(result.root)) or str(result.root)
    with recorded(path), atomic_text(path) as file:
        file.write(render("gallery.html", folder=PAGE_FOLDER, data=data, title=title, facts=facts))
    return len(pairs)


def _image(
    result: ScanResult,
    image: ScanImage,
    folder: Path,
    thumbnail: Callable[[str], bytes],
    shots: ShotFiles,
) -> dict[str, Any]:
    facts = image.facts
    notes = (facts.format, facts.camera, facts.taken, facts.software)
    return {
        "files": [
            {
                "name": _name(result, path),
                "link": _link(path, folder),
                "library": in_library,
                "beside": ", ".join(shots.beside(path)),
            }
            for path, in_library in zip(image.paths, image.in_library, strict=True)
        ],
        "size": [facts.width, facts.height, facts.bytes],
        "sharpness": facts.sharpness,
        "notes": " · ".join(text for text in notes if text),
        "norm": round(image.log_norm, 3),
        "picture": _data_address(thumbnail(image.digest)),
    }


def _name(result: ScanResult, path: str) -> str:
    """Show a path inside the folder of the photos; of several folders, as typed."""
    return result.typed_path(path) if len(result.roots) > 1 else _relative(path, result.root)


def _relative(path: str, root: Path) -> str:
    inside = os.path.relpath(path, printable_name(str(root)))
    return path if inside.startswith("..") else Path(inside).as_posix()


def _link(path: str, folder: Path) -> str:
    """Percent-encode the address of a file relative to the page."""
    try:
        return quote(os.fsencode(Path(os.path.relpath(path, folder)).as_posix()), safe="/")
    except ValueError:  # another drive
        return Path(path).as_uri()


def _pair(pair: MatchedPair, place: Mapping[int, int]) -> dict[str, Any]:
    return {
        "original": place[pair.original],
        "copy": place[pair.copy],
        "p": pair.probability,
        "m": pair.moment_probability,
        "clear": pair.origin.clear,
        "why": pair.why,
        "edits": list(pair.verdict.edits),
        "back_edits": list(pair.back_edits),
        "weight": pair.weight,
        "back": pair.back_weight,
        "burst": pair.same_moment,
        "near": pair.near_moment,
        "reason": pair.reason,
        "cosine": round(pair.cosine, 3),
        "outlines": [pair.verdict.first_outline, pair.verdict.second_outline],
    }


def _data_address(data: bytes) -> str:
    """Shrink a JPEG and return it as a data: address; empty if there is no image."""
    try:
        image = decode_image(data)
    except ImageError:
        return ""
    return picture_address(image, side=THUMBNAIL_SIDE, quality=THUMBNAIL_QUALITY)
