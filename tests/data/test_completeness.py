"""``asl data check`` names what is missing and where it is from."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from asl.data.completeness import check_benchmark, main
from asl.data.layouts import open_benchmark
from asl.data.scenes import render_scene


def write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), render_scene(0, height=60, width=80)[..., ::-1])


def test_what_is_missing_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "references" / "R1.jpg")
    write(tmp_path / "queries" / "Q1.jpg")
    (tmp_path / "truth.csv").write_text("Q1,R2\n")
    assert main(["check", "ndec", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "query_images_h5" in said
    assert "WenhaoWang/ASL" in said, "and where it is from"
    (tmp_path / "truth.csv").write_text("Q1,R1\n")
    (tmp_path / "queries" / "Q1.jpg").write_bytes(b"broken")
    assert main(["check", "folder", str(tmp_path)]) == 1
    assert "MISSING queries: 0 of 1 decoded" in capsys.readouterr().out


def test_a_complete_set_is_good(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "references" / "R1.jpg")
    write(tmp_path / "queries" / "Q1.jpg")
    (tmp_path / "truth.csv").write_text("Q1,R1\n")
    assert main(["check", "folder", str(tmp_path)]) == 0
    assert "MISSING" not in capsys.readouterr().out
    findings = check_benchmark(open_benchmark(tmp_path), "ndec")
    assert [finding.text for finding in findings if not finding.good] == [
        "queries: 1 of 49252 published",
        "references: 1 of 1000000 published",
        "hard_pairs: 0 of 100000 published",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "required: verb, layout, path"),
        (["check", "folder"], "required: path"),
        (["check", "nothing", "x"], "invalid choice: 'nothing'"),
        (["check", "folder", "gone"], "there is no folder gone"),
    ],
)
def test_wrong_use_is_one_line_and_code_2(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code: object = main(words)
    except SystemExit as stopped:
        code = stopped.code
    printed = capsys.readouterr().err
    assert code == 2
    assert message in printed
    assert printed.startswith("error: ")
    assert len(printed.splitlines()) == 1
