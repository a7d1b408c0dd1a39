"""Small plots as inline SVG: they need no library to draw, follow the page's colours, and stay sharp."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import numpy.typing as npt

Series = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 560, 320, 52, 40, 14, 14


def _x(value: float, low: float, high: float) -> float:
    return LEFT + (value - low) / max(high - low, 1e-12) * (WIDTH - LEFT - RIGHT)


def _y(value: float, low: float, high: float) -> float:
    return HEIGHT - BOTTOM - (value - low) / max(high - low, 1e-12) * (HEIGHT - BOTTOM - TOP)


def _frame(x_label: str, y_label: str, x: tuple[float, float], y: tuple[float, float]) -> list[str]:
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(y_label)} over {escape(x_label)}">']
    for step in np.linspace(0, 1, 6):
        value_x, value_y = x[0] + step * (x[1] - x[0]), y[0] + step * (y[1] - y[0])
        px, py = _x(value_x, *x), _y(value_y, *y)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{py:.1f}" y2="{py:.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 6}" y="{py + 4:.1f}" text-anchor="end">{value_y:.3g}</text>')
        parts.append(
            f'<text class="tick" x="{px:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{value_x:.3g}</text>'
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text class="label" x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x_label)}</text>')
    turned = f'transform="translate(12 {HEIGHT / 2}) rotate(-90)"'
    parts.append(f'<text class="label" {turned} text-anchor="middle">{escape(y_label)}</text>')
    return parts


def line_plot(curves: Mapping[str, Series], *, x_label: str, y_label: str, unit: bool = True) -> str:
    """Curves (x, y) by name; both axes 0..1 where ``unit``."""
    x, y = (0.0, 1.0), (0.0, 1.0)
    if not unit and curves:
        every_x = np.concatenate([curve[0] for curve in curves.values()])
        every_y = np.concatenate([curve[1] for curve in curves.values()])
        x, y = (float(every_x.min()), float(every_x.max())), (float(every_y.min()), float(every_y.max()))
    parts = _frame(x_label, y_label, x, y)
    for number, (name, (xs, ys)) in enumerate(curves.items()):
        points = " ".join(f"{_x(a, *x):.1f},{_y(b, *y):.1f}" for a, b in zip(xs.tolist(), ys.tolist(), strict=True))
        parts.append(f'<polyline class="c{number % 8}" points="{points}"><title>{escape(name)}</title></polyline>')
    return "".join([*parts, "</svg>", legend(list(curves))])


def histogram(groups: Mapping[str, npt.ArrayLike], *, x_label: str, bins: int = 40) -> str:
    """Outlined histograms on common bins, each scaled to its own total."""
    every = np.concatenate([np.asarray(values, dtype=np.float64) for values in groups.values()])
    low, high = np.quantile(every, [0.005, 0.995])
    edges = np.linspace(low, high if high > low else low + 1, bins + 1)
    shares = {
        name: np.histogram(np.clip(values, edges[0], edges[-1]), bins=edges)[0] / max(len(np.asarray(values)), 1)
        for name, values in groups.items()
    }
    top = max(float(share.max()) for share in shares.values())
    x, y = (float(edges[0]), float(edges[-1])), (0.0, top)
    parts = _frame(x_label, "share", x, y)
    for number, (name, share) in enumerate(shares.items()):
        points = [(edges[0], 0.0)]
        for place, value in enumerate(share.tolist()):
            points += [(edges[place], value), (edges[place + 1], value)]
        text = " ".join(f"{_x(a, *x):.1f},{_y(b, *y):.1f}" for a, b in [*points, (edges[-1], 0.0)])
        parts.append(f'<polygon class="c{number % 8} area" points="{text}"><title>{escape(name)}</title></polygon>')
    return "".join([*parts, "</svg>", legend(list(shares))])


def legend(names: Sequence[str]) -> str:
    """Colour and name of every series."""
    items = "".join(f'<span class="key"><i class="b{n % 8}"></i>{escape(name)}</span>' for n, name in enumerate(names))
    return f'<div class="legend">{items}</div>'


def bar(share: float | None, *, text: str) -> str:
    """A horizontal bar with its number, for table cells."""
    if share is None:
        return '<span class="none">–</span>'
    return f'<span class="bar"><i style="width:{100 * min(max(share, 0.0), 1.0):.1f}%"></i><b>{escape(text)}</b></span>'
