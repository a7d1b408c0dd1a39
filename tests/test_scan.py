"""``asl scan`` as a command: exit codes, printed summary, wrong places."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from asl.app.scanning.scan_file import read_scan
from asl.data import signatures
from asl.shared_defaults import MODELS
from tests.app.conftest import encode, textured, write_photos
from tests.app.scans import scan, summary


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_photos(tmp_path / "photos")


def test_pictures_in_other_formats_are_counted(
    photos: Path, model: Path, tmp_path: Path, capsys, monkeypatch
) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(signatures, "_installed", lambda module: False)
    for name in ("a.heic", "b.HEIC", "sub/c.cr2", ".d.heic"):
        (photos / name).write_bytes(b"x")
    (photos / "p3.jpg").rename(photos / "p3.jfif")
    assert (
        scan(photos, "--model", model, "--output", tmp_path / "out", "--max-failure-rate", 0.5) == 0
    )
    printed = capsys.readouterr().out
    assert 'skipped: 2 .heic, 1 .cr2 (to read them: pip install "asl-icd[photos]")' in printed
    numbers = summary(tmp_path / "out")
    assert (numbers["files"], numbers["formats_skipped"]) == (8, {".heic": 2, ".cr2": 1})


def test_copies_are_not_called_removable(photos: Path, model: Path, tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    scan(photos, "--model", model, "--output", tmp_path / "out")
    files, printed = summary(tmp_path / "out")["probable_copies"], capsys.readouterr().out
    assert files > 1
    assert f"\n{files} files are probably copies: " in printed
    assert "could go" not in printed


def test_a_cache_of_an_earlier_default_is_named(photos: Path, tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    """The old cache stays for model=; the new one is not mixed with it."""
    for name, said in ((MODELS[0], ""), (MODELS[1], f"was made with {MODELS[0]}, and every pic")):
        words = ("--local-candidates", 0, "--gallery", 0, "--model", name)
        assert scan(photos / "p0.jpg", photos / "p1.jpg", "--output", tmp_path, *words) == 0
        told = capsys.readouterr()
        assert said in told.err
        assert ("note: " in told.err) == bool(said)
        assert "2 embedded" in told.out
    assert len(list(tmp_path.glob("cache-*.sqlite"))) == 2


def test_a_precision_above_the_table_is_noted(
    photos: Path, model: Path, tmp_path: Path, capsys
) -> None:  # type: ignore[no-untyped-def]
    for precision, told in (("0.99", False), ("0.999", True)):
        scan(
            photos,
            "--model",
            model,
            "--output",
            tmp_path / "out",
            "--precision",
            precision,
            "--local-candidates",
            0,
        )
        assert ("note: precision was measured up to 0.99;" in capsys.readouterr().out) == told


def test_a_second_scan_counts_every_file_once(
    photos: Path, model: Path, tmp_path: Path, capsys
) -> None:  # type: ignore[no-untyped-def]
    for number in range(6):
        (photos / f"bad{number}.jpg").write_bytes(b"bad %d" % number)
    for embedded, known in ((7, 0), (0, 7)):
        scan(photos, "--model", model, "--output", tmp_path / "out")
        told = capsys.readouterr()
        assert f"14 files: {embedded} embedded, {known} known, 7 unreadable;" in told.out
        assert "and 2 more, see" in told.out
    assert "local features" not in told.err, "no bar where nothing was done"


def test_wrong_places_are_said_in_one_line(
    photos: Path, model: Path, tmp_path: Path, capsys
) -> None:  # type: ignore[no-untyped-def]
    assert scan(photos, "--model", model, "--output", photos / "p0.jpg") == 2
    said = f"error: --output: {photos / 'p0.jpg'} is a file, not a folder; choose another path\n"
    assert capsys.readouterr().err == said
    assert (
        scan(
            photos,
            "--model",
            model,
            "--against",
            photos / "sub" / "..",
            "--output",
            tmp_path / "out",
        )
        == 2
    )
    assert "is PHOTOS itself" in capsys.readouterr().err


def test_a_scan_of_other_photos_says_whose_results_it_replaces(
    photos: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = shutil.copytree(photos, tmp_path / "other")
    common = ("--model", model, "--output", tmp_path / "out", "--max-failure-rate", 1, "--quiet")
    assert [scan(photos, *common), scan(photos, *common)] == [0, 0]
    assert "note: " not in capsys.readouterr().err
    assert scan(other, *common) == 0
    assert f"has the results of a scan of {photos}, and this" in capsys.readouterr().err


def test_no_place_for_the_results_is_said_in_one_line(
    photos: Path, model: Path, tmp_path: Path, capsys
) -> None:  # type: ignore[no-untyped-def]
    assert scan(tmp_path / "nothere", "--output", tmp_path / "none") == 2
    assert not (tmp_path / "none").exists(), "nothing is left behind where nothing was done"
    (tmp_path / "file").write_text("")
    assert scan(photos, "--model", model, "--output", tmp_path / "file" / "out", "--quiet") == 2
    assert (
        scan(
            photos,
            "--model",
            model,
            "--output",
            tmp_path / "out",
            "--cache",
            tmp_path / "file" / "c.sqlite",
        )
        == 2
    )
    assert capsys.readouterr().err.count("error: ") == 3


def test_exit_codes(
    photos: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ("--model", model, "--output", tmp_path / "out", "--precision", 0.6, "--workers", 1)
    assert scan(photos, *common) == 1, "an eighth of the files is unreadable, a tenth is allowed"
    assert "--max-failure-rate" in capsys.readouterr().err
    (photos / "broken.jpg").unlink()
    assert scan(photos, *common, "--exit-code") == 3
    assert "2 pairs in 2 groups" in capsys.readouterr().out
    assert scan(tmp_path / "nowhere", *common) == 2
    assert scan(photos, *common[:-4], "--precision", 2) == 2
    (tmp_path / "empty").mkdir()
    assert scan(tmp_path / "empty", *common) == 1
    assert "no image" in capsys.readouterr().err
    (tmp_path / "empty" / "bad.jpg").write_bytes(b"x")
    assert scan(tmp_path / "empty", *common) == 1
    assert "none of 1 image " in capsys.readouterr().err
    for number, name in enumerate(("a.jpg", "b.jpg")):
        (tmp_path / "empty" / name).write_bytes(encode(textured(60 + number)))
    (tmp_path / "empty" / "bad.jpg").unlink()
    assert scan(tmp_path / "empty", *common, "--exit-code") == 0, "nothing found"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--gallery", -1], "gallery: must be 0 or more, got -1"),
        (["--min-size", -1], "min_size: must be 0 or more, got -1"),
        (["--max-failure-rate", 1.5], "--max-failure-rate must be in 0..1"),
        (["--max-megapixels", 0], "--max-megapixels must be above 0, got 0"),
        (["--neighbours", 0], "neighbours: must be 1 or more, got 0"),
        (["--local-candidates", -1], "local_candidates: must be 0 or more, got -1"),
        (["--effort", 0], "effort: must be above 0 and finite, got 0"),
        (["--precision", 1], "precision: expected a number from 0.5 to below 1"),
        (["--format", "xlsx"], "format: expected one of csv, parquet, json"),
        (["--against", "nowhere"], "nowhere"),
    ],
)
def test_wrong_use_is_one_line_and_leaves_nothing(
    words: list[object], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert scan(tmp_path / "nowhere", "--output", tmp_path / "out", *words) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert len(printed.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_quiet_scan_prints_nothing_and_writes_the_same(
    photos: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ("--model", model, "--workers", 1, "--precision", 0.6, "--max-failure-rate", 0.5)
    assert scan(photos, *common, "--output", tmp_path / "quiet", "--quiet", "--gallery", 0) == 0
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "")
    assert scan(photos, *common, "--output", tmp_path / "loud") == 0
    printed = capsys.readouterr().out
    assert f"gallery  {tmp_path / 'loud' / 'gallery.html'}" in printed
    assert "pairs in" in printed
    tables = [(tmp_path / name / "copies.csv").read_text() for name in ("quiet", "loud")]
    assert tables[0] == tables[1]
    assert not (tmp_path / "quiet" / "gallery.html").exists()
    assert (tmp_path / "loud" / "gallery.html").exists()
    words = ("--quiet", "--gallery", 0)
    assert scan(photos, *common, "--output", tmp_path / "loud", *words) == 0
    assert not (tmp_path / "loud" / "gallery.html").exists(), "it is of an earlier scan"


def test_a_table_of_an_earlier_scan_does_not_stay_beside_that_of_another_format(
    photos: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ("--model", model, "--workers", 1, "--max-failure-rate", 0.5, "--output", tmp_path)
    for kind in ("csv", "parquet", "json"):
        assert scan(photos, *common, "--format", kind) == 0
        assert [path.suffix[1:] for path in tmp_path.glob("copies.*")] == [kind]
    assert "not of this run" not in capsys.readouterr().out
    (tmp_path / "copies.json").write_text("[]  # with a note of mine")
    assert scan(photos, *common) == 0
    assert "copies.json is not of this run: it was edited" in capsys.readouterr().out
    assert (tmp_path / "copies.json").exists()


def test_failures_of_an_earlier_scan_do_not_stay(photos: Path, model: Path, tmp_path: Path) -> None:
    common = ("--model", model, "--output", tmp_path / "out", "--quiet", "--max-failure-rate", 0.5)
    assert scan(photos, *common) == 0
    assert "broken.jpg" in (tmp_path / "out" / "unreadable.csv").read_text()
    (photos / "broken.jpg").unlink()
    assert scan(photos, *common) == 0
    assert not (tmp_path / "out" / "unreadable.csv").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text on this system")
def test_folders_whose_names_are_not_utf8(
    photos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    odd = Path(os.fsdecode(b"\xff"))
    photos.rename(odd)
    assert scan(odd, "--model", model, "--output", odd / "out", "--max-failure-rate", 0.5) == 0
    assert "\\xff/p0.jpg" in (odd / "out" / "copies.csv").read_text(encoding="utf-8")
    assert "p0.jpg" in (odd / "out" / "gallery.html").read_text(encoding="utf-8")
    assert read_scan(odd / "out" / "scan.json").roots[0][1] == odd
