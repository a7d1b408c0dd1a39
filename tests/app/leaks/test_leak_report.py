"""The page of leaks: self-contained, escaped, a part of each kind."""

from __future__ import annotations

import dataclasses
from contextlib import closing
from pathlib import Path

from asl.app.leaks.find_leaks import Leaks
from asl.app.leaks.leak_report import write_leak_report
from asl.app.leaks.leak_tables import leak_summary
from tests.app.browser import Browser


def written(leaks: Leaks, path: Path, *, limit: int = 500) -> str:
    numbers = leak_summary(leaks, drop="train", command="asl leaks <train> test")
    with closing(leaks.thumbnails()) as thumbnails:
        write_leak_report(leaks, path, thumbnail=thumbnails, limit=limit, numbers=numbers)
    return path.read_text()


def test_the_page_shows_pictures_names_and_numbers(leaks: Leaks, tmp_path: Path) -> None:
    page = written(leaks, tmp_path / "report.html")
    assert page.count("data:image/jpeg;base64,") == 2 * len(leaks.leaks)
    assert "cropped to" in page
    assert "4 of 6\n(66.7 %)" in page
    assert "<b>1</b> of 14 images could not be read" in page
    assert "&lt;train&gt;" in page
    assert "http" not in page.replace("http-equiv", "")


def test_few_places_are_shared_by_the_kinds(leaks: Leaks, tmp_path: Path) -> None:
    page = written(leaks, tmp_path / "report.html", limit=4)
    assert page.count("<figure") == 4
    assert "The first 1; all of them are in the table." in page


def test_no_leak_is_said(leaks: Leaks, tmp_path: Path) -> None:
    page = written(dataclasses.replace(leaks, leaks=[]), tmp_path / "report.html")
    assert "No leak was found among 13 images." in page


def test_the_page_in_a_browser(leaks: Leaks, tmp_path: Path) -> None:
    written(leaks, tmp_path / "report.html")
    with Browser(tmp_path) as browser:
        browser.open((tmp_path / "report.html").as_uri(), width=390)
        wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        assert not browser.run(wide), "no sideways scrolling on a small screen"
        assert browser.run("document.querySelectorAll('.card').length") == len(leaks.leaks)
        assert browser.problems == []
