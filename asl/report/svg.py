"""Plots as inline SVG, drawn without a library, in the colours of the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt

from asl.types import F64

Series = tuple[npt.ArrayLike, npt.ArrayLike]
Range = tuple[float, float]
COLOURS = 8


@dataclass(frozen=True)
class Frame:
    """Coordinate system of a plot.

    Attributes:
        x: lowest and highest value of the horizontal axis.
        y: lowest and highest value of the vertical axis.
        width: of the plot, in SVG units.
        height: of the plot.
        left: margin for the labels of the vertical axis.
    """

    x: Range
    y: Range
    width: float = 560
    height: float = 330
    left: float = 50

    def right(self, value: float) -> float:
        """Horizontal coordinate of a value, clipped to the frame."""
        return round(self.left + _share(value, self.x) * (self.width - self.left - 12), 1)

    def down(self, value: float) -> float:
        """Vertical coordinate of a value, clipped to the frame."""
        return round(self.height - 40 - _share(value, self.y) * (self.height - 40 - 12), 1)

    def path(self, xs: npt.ArrayLike, ys: npt.ArrayLike) -> str:
        """Points of a polyline, for the ``points`` attribute."""
        pairs = zip(np.asarray(xs).tolist(), np.asarray(ys).tolist(), strict=True)
        return " ".join(f"{self.right(a)},{self.down(b)}" for a, b in pairs)


def _share(value: float, span: Range) -> float:
    return min(max((value - span[0]) / max(span[1] - span[0], 1e-12), 0.0), 1.0)


def ticks(low: float, high: float) -> list[float]:
    """Choose round numbers inside a range, 7 at most.

    >>> ticks(0, 1)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    >>> ticks(-0.37, 0.81)
    [-0.2, 0.0, 0.2, 0.4, 0.6, 0.8]
    """
    span = max(high - low, 1e-12)
    rough = span / 6
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def _axes(frame: Frame, *, x_label: str, y_label: str, y_ticks: bool = True) -> list[str]:
    bottom, middle = frame.height - 40, (frame.left + frame.width - 12) / 2
    parts = [
        f'<svg viewBox="0 0 {frame.width:g} {frame.height:g}" role="img" '
        f'aria-label="{escape(y_label or "rows")} over {escape(x_label)}">'
    ]
    for value in ticks(*frame.y) if y_ticks else ():
        at = frame.down(value)
        ends = f'x1="{frame.left:g}" x2="{frame.width - 12:g}"'
        parts.append(f'<line class="grid" {ends} y1="{at}" y2="{at}"/>')
        place = f'x="{frame.left - 7:g}" y="{at + 4}"'
        parts.append(f'<text class="tick" {place} text-anchor="end">{value:.3g}</text>')
    for value in ticks(*frame.x):
        at = frame.right(value)
        ends = f'y1="{bottom:g}" y2="{bottom + 4:g}"'
        parts.append(f'<line class="grid" x1="{at}" x2="{at}" {ends}/>')
        place = f'x="{at}" y="{bottom + 17:g}"'
        parts.append(f'<text class="tick" {place} text-anchor="middle">{value:.4g}</text>')
    place = f'x="{middle:g}" y="{frame.height - 5:g}" text-anchor="middle"'
    parts.append(f'<text class="label" {place}>{escape(x_label)}</text>')
    if y_label:
        turned = f'transform="translate(13 {(bottom + 12) / 2:g}) rotate(-90)"'
        parts.append(f'<text class="label" {turned} text-anchor="middle">{escape(y_label)}</text>')
    return parts


def line_plot(
    curves: Mapping[str, Series],
    *,
    x_label: str,
    y_label: str,
    strong: str | None = None,
    level: float | None = None,
    marks: Mapping[str, tuple[float, float]] | None = None,
) -> str:
    """Plot curves in the unit square.

    Args:
        curves: name -> (x, y), both in 0..1.
        x_label: of the horizontal axis.
        y_label: of the vertical axis.
        strong: name of the curve to draw thicker.
        level: height of a dashed horizontal line.
        marks: name -> point of its curve to draw as a dot.
    """
    frame = Frame((0.0, 1.0), (0.0, 1.0))
    parts = _axes(frame, x_label=x_label, y_label=y_label)
    if level is not None:
        at, end = frame.down(level), frame.width - 12
        parts.append(f'<line class="level" x1="{frame.left:g}" x2="{end:g}" y1="{at}" y2="{at}"/>')
    for number, (name, (xs, ys)) in enumerate(curves.items()):
        style = f"c{number % COLOURS}" + (" strong" if name == strong else "")
        title = f"<title>{escape(name)}</title>"
        points = frame.path(xs, ys)
        parts.append(f'<polyline class="{style}" points="{points}">{title}</polyline>')
    for number, name in enumerate(curves):
        if marks and name in marks:
            x, y = marks[name]
            title = f"{escape(name)}: {escape(x_label)} {x:.3f}, {escape(y_label)} {y:.3f}"
            place = f'cx="{frame.right(x)}" cy="{frame.down(y)}" r="4.5"'
            colour = f"b{number % COLOURS}"
            parts.append(f'<circle class="{colour}" {place}><title>{title}</title></circle>')
    return "".join([*parts, "</svg>", legend(list(curves))])


def histogram(
    groups: Mapping[str, npt.ArrayLike], *, x_label: str, bins: int = 41, zero: str = ""
) -> str:
    """Plot outlined histograms on common bins, each scaled to its own total.

    Args:
        groups: name -> values.
        x_label: of the values.
        bins: number of bins, between the 0.5 % and 99.5 % quantile.
        zero: label of a line at 0; empty for no line.
    """
    values = {name: np.asarray(group, dtype=np.float64) for name, group in groups.items()}
    every = np.concatenate(list(values.values()))
    low, high = np.quantile(every, [0.005, 0.995])
    edges = np.linspace(low, high if high > low else low + 1, bins + 1)
    shares = {
        name: np.histogram(np.clip(group, edges[0], edges[-1]), bins=edges)[0] / max(len(group), 1)
        for name, group in values.items()
    }
    top = max(float(share.max()) for share in shares.values())
    frame = Frame((float(edges[0]), float(edges[-1])), (0.0, top * 1.05))
    parts = _axes(frame, x_label=x_label, y_label="share of the pairs")
    if zero and edges[0] < 0 < edges[-1]:
        at = frame.right(0.0)
        parts.append(
            f'<line class="level" x1="{at}" x2="{at}" y1="12" y2="{frame.height - 40:g}"/>'
        )
        parts.append(f'<text class="tick" x="{at + 5}" y="22">{escape(zero)}</text>')
    for number, (name, share) in enumerate(shares.items()):
        xs = np.repeat(edges, 2)
        ys = np.concatenate([[0.0], np.repeat(share, 2), [0.0]])
        style = f"c{number % COLOURS} area"
        title = f"<title>{escape(name)}</title>"
        points = frame.path(xs, ys)
        parts.append(f'<polygon class="{style}" points="{points}">{title}</polygon>')
    counts = [f"{name} ({len(group)})" for name, group in values.items()]
    return "".join([*parts, "</svg>", legend(counts)])


def box_rows(
    rows: Mapping[str, npt.ArrayLike],
    *,
    x_label: str,
    colour: Mapping[str, int],
    line: float | None = None,
    line_label: str = "",
) -> str:
    """Plot one row a group: a line from 5 % to 95 %, a box from 25 % to 75 %, the median.

    Args:
        rows: name -> values, at least one.
        x_label: of the values.
        colour: name -> number of its colour.
        line: value to draw through all rows, e.g. a threshold.
        line_label: label of that line.
    """
    values = {name: np.asarray(group, dtype=np.float64) for name, group in rows.items()}
    every = np.concatenate(list(values.values()))
    low, high = float(np.quantile(every, 0.002)), float(np.quantile(every, 0.998))
    low, high = (low, high) if line is None else (min(low, line), max(high, line))
    room = 0.02 * (high - low) + 1e-9
    frame = Frame(
        (low - room, high + room), (0, 1), width=860, height=62 + 24 * len(rows), left=210
    )
    parts = _axes(frame, x_label=x_label, y_label="", y_ticks=False)
    for number, (name, group) in enumerate(values.items()):
        style = f"c{colour[name] % COLOURS}"
        parts.append(_box(frame, name, group, style=style, middle=22 + 24 * number))
    if line is not None:
        at = frame.right(line)
        parts.append(f'<line class="level" x1="{at}" x2="{at}" y1="6" y2="{frame.height - 40:g}"/>')
        anchor, gap = ("end", -5) if at > frame.width * 0.75 else ("start", 5)
        place = f'x="{at + gap}" y="10" text-anchor="{anchor}"'
        parts.append(f'<text class="tick" {place}>{escape(line_label)}</text>')
    return "".join([*parts, "</svg>"])


def _box(frame: Frame, name: str, values: F64, *, style: str, middle: float) -> str:
    """Draw one row of :func:`box_rows` around the vertical coordinate ``middle``."""
    quantiles = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95]).tolist()
    low, left, median, right, high = (frame.right(value) for value in quantiles)
    title = f"{escape(name)}: median {np.median(values):.4g} of {len(values)}"
    label = f'x="{frame.left - 10:g}" y="{middle + 4}" text-anchor="end"'
    width = f"{max(right - left, 1):.1f}"
    top, bottom = middle - 7, middle + 7
    return (
        f'<g class="row"><title>{title}</title>'
        f'<text class="name" {label}>{escape(name)}</text>'
        f'<line class="{style}" x1="{low}" x2="{high}" y1="{middle}" y2="{middle}"/>'
        f'<rect class="{style} area" x="{left}" y="{top}" width="{width}" height="14" rx="2"/>'
        f'<line class="{style} strong" x1="{median}" x2="{median}" y1="{top}" y2="{bottom}"/></g>'
    )


def legend(names: Sequence[str]) -> str:
    """Draw the colour and name of every series."""
    items = "".join(
        f'<span class="key"><i class="b{n % COLOURS}"></i>{escape(name)}</span>'
        for n, name in enumerate(names)
    )
    return f'<div class="legend">{items}</div>'


def bar(
    share: float | None,
    *,
    text: str,
    interval: Range | None = None,
    before: float | None = None,
    worse: bool = False,
) -> str:
    """Draw a share as a horizontal bar with its number, for table cells.

    Args:
        share: 0..1; None draws a dash.
        text: the number.
        interval: low and high end of a whisker.
        before: share to compare with, drawn as a stroke.
        worse: True if more is worse, for another colour.
    """
    if share is None:
        return '<span class="none">–</span>'
    extent = _percent(share)
    whisker = stroke = ""
    if interval is not None:
        low, high = _percent(interval[0]), _percent(interval[1])
        whisker = f'<u style="left:{low:.1f}%;width:{max(high - low, 0.3):.1f}%"></u>'
    if before is not None:
        stroke = f'<s style="left:{_percent(before):.1f}%" title="{before:.3f}"></s>'
    inner = f'<span><i style="width:{extent:.1f}%"></i>{whisker}{stroke}</span>'
    return f'<span class="{"bar worse" if worse else "bar"}"><b>{escape(text)}</b>{inner}</span>'


def _percent(share: float) -> float:
    return 100 * min(max(share, 0.0), 1.0)
