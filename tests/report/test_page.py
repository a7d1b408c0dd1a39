"""Templates: values are escaped, data cannot end a script, style sheets and scripts are inlined."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from asl.report import page
from asl.report.page import render

PACKAGE = Path(page.__file__).resolve().parents[1]
HOSTILE = "</script><script>alert('1')</script>&\u2028\x1b[2J"


def test_values_are_escaped_and_files_are_inlined() -> None:
    text = render(
        "gallery.html",
        folder="app/scanning/page",
        title=HOSTILE,
        data={"left_out": 0, "across": False, "name": HOSTILE},
        facts={HOSTILE: HOSTILE},
    )
    assert "<script>alert" not in text
    assert text.count("<script") == text.count("</script>") == 2
    raw = text.split('type="application/json">')[1].split("</script>")[0]
    assert json.loads(raw)["name"] == HOSTILE
    script = (PACKAGE / "app/scanning/page/gallery.js").read_text(encoding="utf-8")
    style = (PACKAGE / "report/templates/style.css").read_text(encoding="utf-8")
    assert script in text
    assert style in text


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="facts"):
        render(
            "gallery.html",
            folder="app/scanning/page",
            title="",
            data={"left_out": 0, "across": False},
        )
    with pytest.raises(FileNotFoundError, match=r"nothing\.css"):
        page._environment("report/templates").globals["source"]("nothing.css")


@pytest.mark.parametrize("folder", ["app/scanning/page", "app/service/page", "report/templates"])
def test_no_inlined_file_ends_its_element_or_asks_for_another(folder: str) -> None:
    for path in (PACKAGE / folder).iterdir():
        text = path.read_text(encoding="utf-8")
        if path.suffix != ".html":
            assert "</" not in text, path.name
        assert "https://" not in text, path.name
        assert "@import" not in text, path.name
        assert "url(" not in text, path.name


def test_names_that_are_not_utf8_are_shown_as_escapes() -> None:
    text = render(
        "gallery.html",
        folder="app/scanning/page",
        title="a\udcff",
        data={"left_out": 0, "across": False, "name": "a\udcff\u00e9"},
        facts={},
    )
    raw = text.split('type="application/json">')[1].split("</script>")[0]
    assert json.loads(raw.encode("utf-8"))["name"] == "a\\xff\u00e9"
