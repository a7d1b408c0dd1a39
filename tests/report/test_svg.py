"""Plots are well-formed XML, stay inside their frame and say what they show."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from asl.report.svg import bar, box_rows, histogram, line_plot, ticks

SVG = re.compile(r"<svg.*?</svg>", re.S)


def picture(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(SVG.search(text).group())  # type: ignore[union-attr]


def coordinates(root: ElementTree.Element, tag: str) -> np.ndarray:
    points = " ".join(node.attrib["points"] for node in root.iter(tag))
    return np.array([[float(v) for v in point.split(",")] for point in points.split()])


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
@example(879609.9999999999, 1e-6)
def test_ticks_are_few_round_and_inside(low: float, span: float) -> None:
    found = ticks(low, low + span)
    assert 1 <= len(found) <= 7
    slack = 1e-6 * span + 4 * math.ulp(
        max(abs(low), abs(low + span))
    )  # far from 0 a small span has few floats
    assert all(low - slack <= value <= low + span + slack for value in found)
    if len(found) > 2:
        assert np.diff(found) == pytest.approx(
            np.diff(found)[0], rel=1e-3, abs=1e-9 * max(abs(low), 1)
        )


def test_line_plot_has_every_curve_in_its_frame_and_the_marks() -> None:
    curves = {"cosine & co": ([0.0, 0.5], [1.0, 0.2]), "hinge": ([0.0, 1.0], [1.0, 0.0])}
    root = picture(
        line_plot(
            curves,
            x_label="recall",
            y_label="precision",
            strong="hinge",
            level=0.9,
            marks={"hinge": (0.5, 0.9)},
        )
    )
    lines = list(root.iter("polyline"))
    assert ["strong" in line.attrib["class"] for line in lines] == [False, True]
    places = coordinates(root, "polyline")
    assert np.all((places >= 0) & (places <= [560, 330]))
    assert places[3, 1] > places[2, 1]  # lower precision is lower on paper
    assert len(list(root.iter("circle"))) == 1


def test_histogram_areas_are_shares() -> None:
    groups = {
        "true": np.full(50, 1.0),
        "reversed": np.concatenate([np.full(30, -1.0), np.full(70, 1.0)]),
    }
    text = histogram(groups, x_label="d", bins=2, zero="equal")
    root = picture(text)
    first, second = (coordinates_of(node) for node in root.iter("polygon"))
    # Of the first group everything lies in the upper bin, of the second 70 %: heights are in that
    # proportion.
    base = first[:, 1].max()
    assert (base - second[:, 1].min()) / (base - first[:, 1].min()) == pytest.approx(0.7, abs=0.01)
    assert "true (50)" in text
    assert "equal" in text


def coordinates_of(node: ElementTree.Element) -> np.ndarray:
    return np.array(
        [[float(v) for v in point.split(",")] for point in node.attrib["points"].split()]
    )


def test_histogram_of_one_value_and_without_zero_line() -> None:
    assert "equal" not in histogram({"true": [3.0, 3.0]}, x_label="d", zero="equal")


def test_box_rows_are_in_order_with_the_median_between_the_quartiles() -> None:
    rows = {"crop": np.arange(101) / 100, "hard:video": [0.5]}
    text = box_rows(
        rows, x_label="score", colour={"crop": 0, "hard:video": 1}, line=0.9, line_label="threshold"
    )
    root = picture(text)
    crop, video = root.findall("g")
    box, median = crop.find("rect"), crop.findall("line")[1]
    assert box is not None
    left, width = float(box.attrib["x"]), float(box.attrib["width"])
    assert float(median.attrib["x1"]) == pytest.approx(left + width / 2, abs=0.2)
    assert "hard:video: median 0.5 of 1" in ElementTree.tostring(video, encoding="unicode")
    assert "threshold" in text


def test_bars_show_share_interval_comparison_and_nothing() -> None:
    text = bar(0.25, text="0.250", interval=(0.2, 0.3), before=0.5, worse=True)
    assert "width:25.0%" in text
    assert "left:20.0%;width:10.0%" in text
    assert 'left:50.0%" title="0.500"' in text
    assert "bar worse" in text
    assert "–" in bar(None, text="0")
    assert "&lt;" in bar(0.1, text="<")
    assert "width:100.0%" in bar(3.0, text="3")
