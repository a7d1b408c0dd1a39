"""The command: files in, one file out; wrong use is one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from asl.cli import start


def write(path: Path, *lines: str) -> str:
    path.write_text("\n".join(["query_id,reference_id,score", *lines, ""]))
    return str(path)


def test_lists_are_merged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = write(tmp_path / "a.csv", "q,a,0.5", "q,b,0.25")
    second = write(tmp_path / "b.csv", "q,c,0.75")
    output = tmp_path / "merged.csv"
    assert start("merge", [first, second, "--k", "2", "--output", str(output)]) == 0
    assert output.read_text() == "query_id,reference_id,score\nq,c,0.75\nq,a,0.5\n"
    said = capsys.readouterr()
    assert said.out.startswith("2 pairs of 2 lists: ")
    assert "b.csv: lists 1 reference per query at most" in said.err
    assert start("merge", [first, second, "--k", "null", "--most", "1", f"--output={output}"]) == 0
    assert output.read_text() == "query_id,reference_id,score\nq,c,0.75\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a.csv"], "lists: expected two or more files of pairs, got 1"),
        (["a.csv", "b.csv", "--output=p.txt"], "output: expected a name that ends in .csv"),
        (["a.csv", "b.csv", "--k=0"], "k: must be 1 or more, got 0"),
        (["a.csv", "b.csv", "--most=0"], "most: must be 1 or more, got 0"),
    ],
)
def test_wrong_use(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    output = [] if any("--output" in word for word in words) else [f"--output={tmp_path / 'o.csv'}"]
    assert start("merge", [*words, *output]) == 2
    assert message in capsys.readouterr().err
    assert start("merge", [str(tmp_path / "x.csv"), str(tmp_path / "y.csv"), *output]) != 0
    assert not (tmp_path / "o.csv").exists()
