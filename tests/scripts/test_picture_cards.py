from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from picture_cards import Cell, Place, rows_of_pictures, scattered, signed

SVG = "{http://www.w3.org/2000/svg}"
PICTURE = np.full((30, 60, 3), 90, np.uint8)


def boxes(tree: ET.Element, tag: str) -> list[tuple[float, float, float, float]]:
    return [
        tuple(float(part.attrib[key]) for key in ("x", "y", "width", "height"))
        for part in tree.iter(SVG + tag)
    ]


def test_a_row_keeps_proportions_outlines_and_names() -> None:
    outline = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    rows = [[Cell(PICTURE, ["a < b", "second"], outline), Cell(PICTURE, ["c"], sign="\u2192")]]
    tree = ET.fromstring(rows_of_pictures(rows, "x & y", box=(120, 90)))
    first, second = boxes(tree, "image")
    assert first[2] / first[3] == 2.0, "a wide picture in a narrower box"
    assert second[0] > first[0] + first[2]
    (polygon,) = tree.iter(SVG + "polygon")
    corners = [tuple(map(float, point.split(","))) for point in polygon.attrib["points"].split()]
    assert corners[0] == first[:2], "the outline lies on the picture, not on its box"
    assert corners[2] == (first[0] + first[2], first[1] + first[3])
    assert [text.text for text in tree.iter(SVG + "text")] == ["a < b", "second", "\u2192", "c"]
    width, height = float(tree.attrib["width"]), float(tree.attrib["height"])
    assert all(
        x >= 0 and y >= 0 and x + w <= width and y + h <= height
        for x, y, w, h in boxes(tree, "image")
    )


def test_pictures_of_a_plot_do_not_cover_each_other_or_the_points() -> None:
    rng = np.random.default_rng(1)
    places = [
        Place(float(x), float(y), f"n{k}", PICTURE, k == 3)
        for k, (x, y) in enumerate(rng.random((9, 2)))
    ]
    tree = ET.fromstring(scattered(places, "t", x_label="x", y_label="y"))
    pictures = boxes(tree, "image")
    assert len(pictures) == 9
    for place, (x, y, w, h) in enumerate(pictures):
        for a, b, c, d in pictures[place + 1 :]:
            assert x + w <= a or a + c <= x or y + h <= b or b + d <= y
        for dot in tree.iter(SVG + "circle"):
            assert not (x < float(dot.attrib["cx"]) < x + w and y < float(dot.attrib["cy"]) < y + h)
    assert sum(dot.attrib["class"] == "dot wrong" for dot in tree.iter(SVG + "circle")) == 1


def test_a_minus_is_a_minus() -> None:
    assert (signed(-1.25, 2), signed(0.5)) == ("\u22121.25", "0.5")
