"""The page and the JSON of a case: the same facts, nothing loaded from elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

from asl.app.explaining.case_file import case_document, write_case
from asl.app.explaining.explain_pair import Explanation
from asl.storage import is_as_written
from tests.app.browser import Browser
from tests.app.explaining.conftest import explained

WIDE = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


def test_page_and_json_say_the_same(crop_case: Explanation, tmp_path: Path) -> None:
    written = write_case(crop_case, tmp_path / "case.html", command="asl explain a b")
    assert [path.name for path in written] == ["case.html", "case.json"]
    page, data = written[0].read_text(), json.loads(written[1].read_text())
    assert data["conclusion"] == "copy"
    assert data["original"] == crop_case.first.name
    assert {cue["original"] for cue in data["cues"]} <= {file["name"] for file in data["files"]}
    assert data["made"]["command"] == "asl explain a b"
    assert data["precisions"][0]["accepted"]
    for text in (
        *(file["sha256"] for file in data["files"]),
        data["made"]["verifier"],
        data["made"]["model_hash"],
        data["made"]["created"],
        *data["edits"],
        "asl explain a b",
    ):
        assert text in page
    assert "cut &lt;b&gt;.jpg" in page
    assert "cut <b>" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("data:image/jpeg;base64,") == 2 + 2 * 3
    assert is_as_written(written[0])


def test_json_alone(other_case: Explanation, tmp_path: Path) -> None:
    (written,) = write_case(other_case, tmp_path / "case.json", command="x")
    assert written.name == "case.json"
    assert list(tmp_path.iterdir()) == [written]
    facts = case_document(other_case, command="x")
    assert (facts["cues"], facts["edits"], facts["original"]) == ([], [], None)
    assert not facts["accepted"]
    (page, _) = write_case(other_case, tmp_path / "other.html", command="x")
    text = page.read_text()
    assert "structure to compare</dt><dd>100 %" in text, "there was enough to compare"
    assert "not accepted" in text


def test_the_pages_in_a_browser(
    crop_case: Explanation, other_case: Explanation, files: Path, tmp_path: Path
) -> None:
    same = explained(files / "whole.jpg", files / "again.jpg")
    with Browser(tmp_path) as browser:
        for name, case in (("cut", crop_case), ("other", other_case), ("same", same)):
            write_case(case, tmp_path / f"{name}.html", command="asl explain")
            for width in (1200, 390):
                browser.open((tmp_path / f"{name}.html").as_uri(), width=width)
                assert not browser.run(WIDE), f"{name}: no sideways scrolling at {width}"
            assert browser.run("document.querySelector('h1').textContent") == case.sentence
        browser.open((tmp_path / "cut.html").as_uri())
        shown = "getComputedStyle(document.querySelector('.stack .%s')).opacity"
        assert browser.run(shown % "difference") == "0"
        browser.run("document.querySelector('label[for=view-difference]').click()")
        assert browser.run(shown % "difference") == "1"
        browser.run("document.querySelector('label[for=view-half]').click()")
        assert browser.run(shown % "original") == "0.5"
        assert browser.problems == []
