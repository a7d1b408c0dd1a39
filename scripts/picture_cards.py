"""Drawings for the documentation: images in rows or in a plot, as one SVG file on a card."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt

from asl.report.svg import Frame, ticks

Pixels = npt.NDArray[np.uint8]
_Box = tuple[float, float, float, float]  # centre x, centre y, half width, half height
_STYLE = """
.card{fill:#fbfbfa;stroke:#e0e2e7}text{font:14px system-ui,sans-serif;fill:#1c1e23}
.soft{fill:#5d6472;font-size:13px}.edge{fill:none;stroke:#e0e2e7}.grid{stroke:#e0e2e7}
.mark{fill:none;stroke:#1f5fc4;stroke-width:2}.arrow{fill:#1f5fc4;font-size:26px}
.lead{stroke:#5d6472}.dot{fill:#1f5fc4}.other{fill:none;stroke:#c2410c;stroke-width:3}.wrong{fill:#c2410c}
@media (prefers-color-scheme:dark){.card{fill:#131518;stroke:#2d323a}
text{fill:#e8eaee}.soft{fill:#9ba2ae}
.edge,.grid{stroke:#2d323a}.mark{stroke:#7fadf7}.arrow,.dot{fill:#7fadf7}.lead{stroke:#9ba2ae}.other{stroke:#f59e6c}
.wrong{fill:#f59e6c}}
"""


@dataclass(frozen=True, eq=False)
class Cell:
    """One image of a row.

    Attributes:
        image: uint8 ``[H, W, 3]`` RGB.
        lines: of text below it.
        outline: corners (x, y) as shares of the sides, drawn over it.
        sign: drawn before it, e.g. an arrow.
    """

    image: Pixels
    lines: Sequence[str]
    outline: np.ndarray | None = None
    sign: str = ""


@dataclass(frozen=True, eq=False)
class Place:
    """One image of a plot.

    Attributes:
        x: value on the horizontal axis.
        y: value on the vertical axis.
        name: drawn below the image.
        image: uint8 ``[H, W, 3]`` RGB.
        odd: True for another colour.
    """

    x: float
    y: float
    name: str
    image: Pixels
    odd: bool = False


def _webp(image: Pixels, width: float, height: float) -> tuple[str, float, float]:
    """Fit an image into a box, at one and a half times its resolution.

    Returns:
        Address (``data:``), width and height of the drawing.
    """
    import cv2

    factor = min(width / image.shape[1], height / image.shape[0])
    wide, tall = (max(1, round(1.5 * side * factor)) for side in image.shape[1::-1])
    small = cv2.resize(image, (wide, tall), interpolation=cv2.INTER_AREA)
    quality = [cv2.IMWRITE_WEBP_QUALITY, 70]
    data = cv2.imencode(".webp", small[..., ::-1], quality)[1].tobytes()
    return "data:image/webp;base64," + base64.b64encode(data).decode(), wide / 1.5, tall / 1.5


def _framed(
    cell: Cell, left: float, top: float, width: float, height: float, edge: str = "edge"
) -> str:
    """Draw an image in the middle of its box, with its outline."""
    data, wide, tall = _webp(cell.image, width, height)
    x, y = left + (width - wide) / 2, top + (height - tall) / 2
    box = f'x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}"'
    parts = [f'<image {box} href="{data}"/><rect class="{edge}" {box}/>']
    if cell.outline is not None:
        points = " ".join(f"{x + a * wide:.1f},{y + b * tall:.1f}" for a, b in cell.outline)
        parts.append(f'<polygon class="mark" points="{points}"/>')
    return "".join(parts)


def card(width: float, height: float, parts: Sequence[str], title: str) -> str:
    """Draw parts on a card, light or dark by the reader's setting."""
    size = f'width="{width:g}" height="{height:g}"'
    back = (
        f'<rect class="card" x=".5" y=".5" width="{width - 1:g}" height="{height - 1:g}" rx="8"/>'
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" {size}>'
    style = f"<title>{escape(title)}</title><style>{_STYLE.strip()}</style>"
    return f"{head}{style}{back}{''.join(parts)}</svg>\n"


def rows_of_pictures(
    rows: Sequence[Sequence[Cell]], title: str, *, box: tuple[int, int] = (168, 126)
) -> str:
    """Draw images side by side, each with its lines below it.

    Args:
        rows: cells of every row.
        title: of the drawing, for screen readers.
        box: width and height that an image fits into.
    """
    width, height = box
    parts, step = [], height + 24 + 18 * max(len(cell.lines) for row in rows for cell in row)
    for down, row in enumerate(rows):
        for across, cell in enumerate(row):
            left, top = 16 + across * (width + 28), 16 + down * step
            parts.append(_framed(cell, left, top, width, height))
            if cell.sign:
                parts.append(_text("arrow", left - 14, top + height / 2 + 9, cell.sign))
            for number, line in enumerate(cell.lines):
                parts.append(
                    _text(
                        "soft" if number else "name",
                        left + width / 2,
                        top + height + 18 * (number + 1),
                        line,
                    )
                )
    return card(len(rows[0]) * (width + 28) + 4, len(rows) * step + 10, parts, title)


def scattered(places: Sequence[Place], title: str, *, x_label: str, y_label: str) -> str:
    """Draw images in a plot, each beside its point.

    Args:
        places: the images.
        title: of the drawing, for screen readers.
        x_label: of the horizontal axis.
        y_label: of the vertical axis.
    """
    xs, ys = [place.x for place in places], [place.y for place in places]
    room = 0.06 * (max(xs) - min(xs)), 0.15 * (max(ys) - min(ys))
    frame = Frame(
        (min(xs) - room[0], max(xs) + 3 * room[0]),
        (min(ys) - room[1], max(ys) + room[1]),
        800,
        500,
        70,
    )
    points = [(frame.right(place.x), frame.down(place.y)) for place in places]
    parts, taken = _axes(frame, x_label, y_label), [(x, y, 5.0, 5.0) for x, y in points]
    for place, (x, y) in zip(places, points, strict=True):
        left, top = _free(taken, frame, x, y)
        taken.append((left + 42, top + 39, 42, 39))
        parts.append(f'<line class="lead" x1="{x}" y1="{y}" x2="{left + 42:g}" y2="{top + 31:g}"/>')
        parts.append(f'<circle class="dot{" wrong" * place.odd}" cx="{x}" cy="{y}" r="5"/>')
        parts.append(
            _framed(Cell(place.image, ()), left, top, 84, 62, "other" if place.odd else "edge")
        )
        parts.append(_text("soft", left + 42, top + 76, place.name))
    return card(frame.width, frame.height, parts, title)


def _axes(frame: Frame, x_label: str, y_label: str) -> list[str]:
    bottom, right = frame.height - 40, frame.width - 12
    parts: list[str] = []
    for value in ticks(*frame.x):
        x = frame.right(value)
        parts.append(f'<line class="grid" x1="{x}" x2="{x}" y1="12" y2="{bottom:g}"/>')
        parts.append(_text("soft", x, bottom + 17, signed(value, 0)))
    for value in ticks(*frame.y):
        y = frame.down(value)
        parts.append(f'<line class="grid" x1="{frame.left:g}" x2="{right:g}" y1="{y}" y2="{y}"/>')
        parts.append(_text("soft", frame.left - 24, y + 4, signed(value)))
    parts.append(_text("soft", (frame.left + right) / 2, frame.height - 6, x_label))
    turned = f"translate(22 {bottom / 2:g}) rotate(-90)"
    parts.append(
        f'<text class="soft" transform="{turned}" text-anchor="middle">{escape(y_label)}</text>'
    )
    return parts


def _text(style: str, x: float, y: float, text: str) -> str:
    return f'<text class="{style}" x="{x:g}" y="{y:g}" text-anchor="middle">{escape(text)}</text>'


def _free(taken: Sequence[_Box], frame: Frame, x: float, y: float) -> tuple[float, float]:
    """Find the left and top of an image near a point that covers no other one."""
    wide, tall = 42.0, 39.0
    for distance in range(52, 240, 12):
        for turn in np.arange(0, 2 * np.pi, np.pi / 8).tolist():
            a, b = x + distance * np.cos(turn), y + distance * np.sin(turn)
            inside = (
                frame.left + wide < a < frame.width - 16 - wide
                and 14 + tall < b < frame.height - 44 - tall
            )
            if inside and all(
                abs(a - c) > e + wide or abs(b - d) > f + tall for c, d, e, f in taken
            ):
                return float(a - wide), float(b - tall)
    return x - wide, y - tall


def signed(value: float, digits: int = 1) -> str:
    """Format a number with a minus sign instead of a hyphen.

    >>> signed(-1.25, 2)
    '\u22121.25'
    """
    return f"{value:.{digits}f}".replace("-", "\u2212")
