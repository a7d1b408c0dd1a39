"""``asl leaks`` as a command: exit codes, files, printed lines."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from asl.cli import start
from asl.shared_defaults import MODELS
from tests.app.conftest import encode, textured


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    for split, seeds in (("train", range(3)), ("test", range(10, 12))):
        (tmp_path / split).mkdir()
        for seed in seeds:
            (tmp_path / split / f"{seed}.jpg").write_bytes(encode(textured(seed)))
    return tmp_path


def leaks(model: Path, sets: Path, *more: object) -> int:
    words = [sets / "train", sets / "test", "--model", model, "--output", sets / "out"]
    quick = ["--workers", 1, "--same-moment", "false", "--local-candidates", 0]
    return start("leaks", [str(word) for word in (*words, *quick, *more)])


def test_exit_codes(model: Path, sets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert leaks(model, sets) == 0
    assert "train, test: 0 leaks; 0 of 2 images of test affected" in capsys.readouterr().out
    shutil.copy(sets / "train" / "0.jpg", sets / "test" / "again.jpg")
    assert leaks(model, sets) == 1
    printed = capsys.readouterr().out
    assert "1 leak (1 identical file); 1 of 3 images of test affected (33.3 %)" in printed
    assert "drop.csv (1 file)" in printed
    names = {path.name for path in (sets / "out").iterdir() if not path.name.startswith("cache")}
    assert names == {"asl.sha256", "leaks.csv", "drop.csv", "report.html", "summary.json"}
    (sets / "test" / "broken.jpg").write_bytes(b"no image")
    assert leaks(model, sets, "--report", 0, "--format", "json") == 3
    assert "1 of 4 images of test cannot be read" in capsys.readouterr().err
    assert "broken.jpg" in (sets / "out" / "unreadable.csv").read_text()
    assert leaks(model, sets, "--max-failure-rate", 0.5, "--quiet") == 1
    assert capsys.readouterr().out == ""
    assert json.loads((sets / "out" / "summary.json").read_text())["unreadable"] == 1


def test_wrong_use_and_failures_are_one_line(
    model: Path, sets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start("leaks", [str(sets / "train")]) == 2
    assert "two splits or more" in capsys.readouterr().err
    assert leaks(model, sets, "--report", -1) == 2
    assert leaks(model, sets, "--precision", 2) == 2
    (sets / "file").write_text("")
    assert leaks(model, sets, "--output", sets / "file") == 2
    assert not (sets / "out").exists()
    assert leaks(model, sets, "--model", sets / "file") == 3
    assert all(line.startswith("error: ") for line in capsys.readouterr().err.splitlines())


def test_a_cache_of_an_earlier_default_is_named(
    sets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in MODELS:
        assert leaks(Path(name), sets) == 0
    assert f"was made with {MODELS[0]}, and every picture" in capsys.readouterr().err


def test_what_is_in_no_split_is_named(
    model: Path, sets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (sets / "extra").mkdir()
    shutil.copy(sets / "train" / "0.jpg", sets / "extra")
    words = [sets, "--model", model, "--output", sets / "out", "--workers", 1]
    assert start("leaks", [str(word) for word in (*words, "--local-candidates", 0)]) in (0, 1)
    assert "left out, in no split by name: extra (1 image)" in capsys.readouterr().out
    summary = json.loads((sets / "out" / "summary.json").read_text())
    assert summary["left_out"] == {"extra": {"images": 1, "shards": 0}}
    assert "extra (1 image)" in (sets / "out" / "report.html").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text on this system")
@pytest.mark.parametrize("table", ["csv", "json", "parquet"])
def test_folders_whose_names_are_not_utf8(
    model: Path, sets: Path, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(sets)
    odd = Path(os.fsdecode(b"\xff"))
    (sets / "test").rename(odd)
    shutil.copy("train/0.jpg", odd / "again.jpg")
    words = ["train", str(odd), "--model", str(model), "--output", str(odd / "out")]
    quick = ["--local-candidates", "0", "--format", table]
    assert start("leaks", [*words, *quick, "--workers", "1", "--same-moment", "false"]) == 1
    assert "\\xff" in (odd / "out" / "report.html").read_text(encoding="utf-8")
    if table == "csv":
        assert "\\xff/again.jpg" in (odd / "out" / "leaks.csv").read_text(encoding="utf-8")
    if table == "json":
        rows = json.loads((odd / "out" / "leaks.json").read_text(encoding="utf-8"))
        assert (rows[0]["test_split"], rows[0]["test"]) == ("\\xff", "\\xff/again.jpg")
