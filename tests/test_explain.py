"""``asl explain`` as a command."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from asl.cli import start
from tests.app.conftest import crop, encode, textured
from tests.app.pairs.shots import shot


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    whole, cut = tmp_path / "whole.jpg", tmp_path / "cut.jpg"
    whole.write_bytes(encode(textured(0), quality=95))
    cut.write_bytes(encode(crop(textured(0))))
    return whole, cut


def explain(model: Path, *words: object) -> int:
    return start("explain", [str(word) for word in (*words, "--model", model)])


def test_an_explanation_is_written_and_printed(
    files: tuple[Path, Path], model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "cases" / "1.html"
    assert explain(model, *files, "--output", output, "--precision", 0.5) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"{files[1]} is a copy of {files[0]}"
    assert printed[-2:] == [f"  {output}", f"  {output.with_suffix('.json')}"]
    command = json.loads(output.with_suffix(".json").read_text())["made"]["command"]
    assert command.startswith("asl explain ")
    other = tmp_path / "other.jpg"
    other.write_bytes(encode(textured(5)))
    assert explain(model, files[0], other, "--output", tmp_path / "2.json", "--quiet") == 0
    assert capsys.readouterr().out == ""


def test_two_shots_of_one_moment_are_no_copies(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shots = [tmp_path / f"{moment}.jpg" for moment in (0, 1)]
    for moment, path in enumerate(shots):
        path.write_bytes(encode(shot(4, moment), quality=95))
    assert explain(model, *shots, "--output", tmp_path / "case.html") == 0
    sentence, copy, moment_line, *_ = capsys.readouterr().out.splitlines()
    assert sentence.endswith("show the same scene, but neither is a copy of the other")
    case = json.loads((tmp_path / "case.json").read_text())
    assert case["conclusion"] == "same moment"
    assert case["probability"] < 0.5 <= case["same_moment"]
    assert copy.startswith(f"  probability {case['probability']:.3f}")
    assert moment_line == f"  two shots of one moment: {case['same_moment']:.3f}"
    page = (tmp_path / "case.html").read_text()
    assert f"shots of one moment: <b>{100 * case['same_moment']:.1f} %</b>." in page


def test_wrong_use_is_one_line(
    files: tuple[Path, Path], model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (
        (files[0], tmp_path / "gone.jpg"),
        (*files, "--output", tmp_path / "case.pdf"),
        (*files, "--max-megapixels", 0),
        (*files, "--max-megapixels", 2e6),
        (*files, "--precision", 1),
        (files[0],),
    ):
        assert explain(model, *words) == 2, words
    (tmp_path / "x.json").write_bytes(files[0].read_bytes())
    assert explain(model, tmp_path / "x.json", files[1], "--output", tmp_path / "x.html") == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 7
    assert "below 1,000,000, got 2e+06" in errors[3]
    assert all(line.startswith("error: ") for line in errors)
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    assert explain(model, files[0], tmp_path / "bad.jpg") == 1
    assert "bad.jpg: no usable image" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text on this system")
def test_names_that_are_not_utf8_are_escaped_on_the_page(
    files: tuple[Path, Path], model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / os.fsdecode(b"\xff")
    folder.mkdir()
    moved = files[0].rename(folder / "whole.jpg")
    assert explain(model, moved, files[1], "--output", folder / "1.html") == 0
    assert "\\xff/whole.jpg" in (folder / "1.html").read_text(encoding="utf-8")
