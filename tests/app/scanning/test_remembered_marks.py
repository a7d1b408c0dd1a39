"""A scan leaves out marked pairs and calibrates by the answers, and says both."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from asl.app.pairs.pair_marks import (
    LEAST_ANSWERS,
    PairMark,
    PairMarks,
    content_pair,
    read_marks,
    write_marks,
)
from asl.app.pairs.pair_verifier import verifier_id
from asl.app.scanning.scan_file import SCAN_FILE, read_scan
from tests.app.conftest import write_photos
from tests.app.scans import scan, scanned, summary


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of photographs, scanned once."""
    return tmp_path_factory.mktemp("marks")


@pytest.fixture
def out(folder: Path, model: Path) -> Path:
    photos = folder / "photos"
    if not photos.exists():
        write_photos(photos)
        shutil.copy(photos / "p2.jpg", photos / "p2 (1).jpg")
    (folder / "out" / "cache-marks.json").unlink(missing_ok=True)
    rows = scanned(photos, model, folder / "out")
    assert len(rows) == 3
    return folder / "out"


def rescanned(out: Path, model: Path, *more: object) -> list[dict[str, str]]:
    return scanned(out.parent / "photos", model, out, *more)


def marked(out: Path, *marks: PairMark) -> None:
    write_marks(PairMarks(marks), out / "cache-marks.json")


def mark_of(out: Path, name: str, text: str) -> PairMark:
    """Mark the pair, or the identical files, that have a name."""
    result = read_scan(out / SCAN_FILE)
    for pair in result.pairs:
        images = [result.images[number] for number in (pair.original, pair.copy)]
        if any(path.endswith(name) for image in images for path in image.paths):
            digests = content_pair(*(image.digest for image in images))
            return PairMark(*digests, text, pair.probability, verifier_id())
    (image,) = [image for image in result.images if any(p.endswith(name) for p in image.paths)]
    return PairMark(image.digest, image.digest, text, 1.0, verifier_id())


def test_marked_pairs_are_left_out_and_counted(out: Path, model: Path) -> None:
    marked(
        out,
        mark_of(out, "crop-of-0.jpg", "not a copy"),
        mark_of(out, "small-1.png", "keep both"),
        mark_of(out, "p2 (1).jpg", "keep both"),
    )
    assert rescanned(out, model) == []
    assert summary(out)["marked_pairs_left_out"] == {"keep both": 2, "not a copy": 1}
    assert read_scan(out / SCAN_FILE).marked_out == {"keep both": 2, "not a copy": 1}


def test_a_moved_file_stays_marked_and_a_changed_one_does_not(out: Path, model: Path) -> None:
    marked(out, mark_of(out, "crop-of-0.jpg", "not a copy"))
    sub = out.parent / "photos" / "sub"
    (sub / "crop-of-0.jpg").rename(sub / "renamed.jpg")
    assert len(rescanned(out, model)) == 2
    data = (sub / "renamed.jpg").read_bytes()
    (sub / "renamed.jpg").write_bytes(data + b"\0")
    assert len(rescanned(out, model)) == 3, "another content is another picture"
    (sub / "renamed.jpg").write_bytes(data)
    (sub / "renamed.jpg").rename(sub / "crop-of-0.jpg")


def answers(text: str) -> list[PairMark]:
    return [
        PairMark("a" * 64, f"{number:064d}", text, 0.9, verifier_id(), asked=True)
        for number in range(LEAST_ANSWERS + 10)
    ]


def test_answers_calibrate_the_next_scan_which_says_so(
    out: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {row["copy"]: float(row["probability"]) for row in rescanned(out, model)}
    assert summary(out)["calibration"] == "packaged"
    marked(out, *answers("not a copy"))
    rows = rescanned(out, model, "--precision", "0.5")
    after = {row["copy"]: float(row["probability"]) for row in rows}
    for name, probability in after.items():
        assert probability < before[name] or probability == 1.0, name
    assert any(after[name] < before[name] for name in after)
    numbers = summary(out)
    assert "from 20 answers (0 copies, 20 not)" in str(numbers["calibration"])
    result = read_scan(out / SCAN_FILE)
    assert result.calibration.others == LEAST_ANSWERS + 10
    for pair in result.pairs:
        assert pair.packaged_probability == pytest.approx(
            before[result.typed_path(result.images[pair.copy].paths[0])]
        ), "the packaged one is kept for the next calibration"
    common = (out.parent / "photos", "--model", model, "--output", out, "--workers", 1)
    scan(*common, "--precision", 0.5, "--max-failure-rate", 0.5)
    assert "probabilities: of this library, from 20 answers" in capsys.readouterr().out
    rows = rescanned(out, model, "--calibration", "packaged")
    assert {row["copy"]: float(row["probability"]) for row in rows} == before
    assert summary(out)["calibration"] == "packaged"


def test_without_marks_nothing_changes_and_nothing_is_written(out: Path, model: Path) -> None:
    before = (out / "copies.csv").read_text()
    rescanned(out, model)
    assert (out / "copies.csv").read_text() == before
    assert not (out / "cache-marks.json").exists()


def test_damaged_marks_are_said_in_one_line(
    out: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marked(out, mark_of(out, "crop-of-0.jpg", "not a copy"))
    path = out / "cache-marks.json"
    path.write_text(path.read_text().replace("not a copy", "keep both"))
    assert scan(out.parent / "photos", "--model", model, "--output", out) == 1
    printed = capsys.readouterr().err.splitlines()
    assert len(printed) == 1
    assert "cache-marks.json: damaged" in printed[0]
    path.unlink()
    assert len(read_marks(path)) == 0
