"""The saved form of a scan gives the same groups, rows and thumbnails."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import pytest

from asl.app.scanning.scan_file import SCAN_FILE, read_scan, write_scan
from asl.app.scanning.tables import rows_of
from asl.types import AslError
from tests.app.scans import scanned


def test_a_scan_is_read_back_whole_also_from_another_folder(
    photos: Path, model: Path, tmp_path: Path
) -> None:
    shutil.copy(photos / "p2.jpg", photos / "p2 (1).jpg")
    rows = scanned(photos, model, tmp_path / "out")
    shutil.move(tmp_path / "out", tmp_path / "moved")
    path = tmp_path / "moved" / SCAN_FILE
    result = read_scan(path)
    assert [(row.original, row.copy) for row in rows_of(result)] == [
        (row["original"], row["copy"]) for row in rows
    ]
    with closing(result.thumbnails()) as thumbnails:
        assert all(thumbnails(image.digest) for image in result.images)
    before = json.loads(path.read_text())
    write_scan(result, path)
    assert json.loads(path.read_text()) == before
    again = read_scan(path)
    assert list(map(asdict, again.images)) == list(map(asdict, result.images))
    assert [pair.origin for pair in again.pairs] == [pair.origin for pair in result.pairs]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"format": "asl-scan-0"}, "its format is 'asl-scan-0'"),
        ({"pairs": [{"original": 0}]}, "damaged (KeyError"),
        ({"images": [{"paths": []}]}, "damaged (KeyError"),
        ({"images": []}, "a pair names image"),
        ({"counts": {}}, "damaged (KeyError"),
        ({"calibration": {"slope": -1}}, "calibration"),
    ],
)
def test_what_is_no_scan_is_one_line(
    photos: Path, model: Path, tmp_path: Path, damage: dict[str, object], message: str
) -> None:
    scanned(photos, model, tmp_path / "out", "--local-candidates", 0)
    path = tmp_path / "out" / SCAN_FILE
    whole = json.loads(path.read_text())
    del whole["sha256"]
    path.write_text(json.dumps({**whole, **damage}))
    with pytest.raises(AslError) as failed:
        read_scan(path)
    assert message in str(failed.value)
    assert len(str(failed.value).splitlines()) == 1
    path.write_text(path.read_text()[:-200])
    with pytest.raises(AslError, match="run the scan again"):
        read_scan(path)
