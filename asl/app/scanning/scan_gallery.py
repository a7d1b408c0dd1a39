"""The answer of a scan as one HTML file that needs nothing else: pictures, groups and numbers are inside it."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
import numpy as np

from asl.app.scanning.result import Found, ScanImage, ScanResult
from asl.report.style import STYLE
from asl.storage import atomic_text

_SIDE = 256  # pixels of the longer side of a picture in the page
_QUALITY = 74


def write_gallery(
    result: ScanResult,
    path: Path,
    *,
    picture: Callable[[str], bytes],
    limit: int,
    facts: dict[str, Any],
) -> int:
    """Write the page.

    Args:
        result: of a scan.
        path: of the HTML file.
        picture: content -> small JPEG.
        limit: most pairs in the page, the surest ones; what is left out is said there.
        facts: numbers of the scan for the foot of the page.

    Returns:
        How many pairs are in the page.
    """
    pairs = result.pairs[:limit]
    shown = dict.fromkeys(number for pair in pairs for number in (pair.original, pair.copy))
    alone = [
        n
        for n, image in enumerate(result.images)
        if n not in shown and image.identical(across=result.across)
    ]
    shown.update(dict.fromkeys(alone[: max(0, limit - len(pairs))]))
    order = sorted(
        shown
    )  # as the scan numbers them: where groups are alike, the numbers decide, here and in the table
    place = {number: index for index, number in enumerate(order)}
    data = {
        "images": [_image(result, result.images[number], path.parent, picture) for number in order],
        "pairs": [_pair(pair, place) for pair in pairs],
        "left_out": len(result.pairs) - len(pairs),
        "threshold": result.threshold,
        "precision": result.precision,
        "title": os.path.basename(str(result.root)) or str(result.root),
        "facts": facts,
    }
    with atomic_text(path) as file:
        file.write(page("gallery.html", data))
    return len(pairs)


def page(name: str, data: Any) -> str:
    """A page of this package with the style sheet and its data in it; nothing in the data can end the script."""
    text = resources.files("asl.app.scanning").joinpath(name).read_text(encoding="utf-8")
    raw = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    for letter, escape in (("<", "\\u003c"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029")):
        raw = raw.replace(letter, escape)
    return text.replace("/*STYLE*/", STYLE).replace("/*DATA*/null", raw)


def _image(
    result: ScanResult, image: ScanImage, folder: Path, picture: Callable[[str], bytes]
) -> dict[str, Any]:
    facts = image.facts
    return {
        "name": _relative(image.paths[0], result.root),
        "link": _link(image.paths[0], folder),
        "same": [
            _relative(other, result.root) for _, other in image.identical(across=result.across)
        ],
        "library": image.in_library[0],
        "size": [facts.width, facts.height, facts.bytes],
        "notes": " · ".join(
            text for text in (facts.format, facts.camera, facts.taken, facts.software) if text
        ),
        "norm": round(image.log_norm, 3),
        "picture": _thumbnail(picture(image.digest)),
    }


def _relative(path: str, root: Path) -> str:
    inside = os.path.relpath(path, root)
    return path if inside.startswith("..") else Path(inside).as_posix()


def _link(path: str, folder: Path) -> str:
    """Address of a file as seen from the page; every sign that could mean something else is encoded."""
    try:
        return quote(Path(os.path.relpath(path, folder)).as_posix(), safe="/")
    except ValueError:  # another drive
        return Path(path).as_uri()


def _pair(pair: Found, place: dict[int, int]) -> dict[str, Any]:
    judgement = pair.judgement
    return {
        "original": place[pair.original],
        "copy": place[pair.copy],
        "p": judgement.probability,
        "clear": pair.origin.clear,
        "why": pair.origin.why,
        "edits": list(judgement.edits),
        "reason": pair.reason,
        "cosine": round(pair.cosine, 3),
        "outlines": [judgement.first_outline, judgement.second_outline],
    }


def _thumbnail(data: bytes) -> str:
    """A data URL; empty where there is no picture."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if image is None:
        return ""
    factor = min(1.0, _SIDE / max(image.shape[:2]))
    size = max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    encoded = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
    return "data:image/jpeg;base64," + base64.b64encode(encoded).decode()
