from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from asl.app.library import local_feature_store
from asl.cli import start
from tests.app.conftest import encode, textured
from tests.app.scans import scan, scanned


def test_details_find_what_the_whole_picture_does_not(model: Path, tmp_path: Path) -> None:
    """Small crops: with one neighbour by a model that knows nothing most stay unseen."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for seed in range(8):
        (photos / f"p{seed}.png").write_bytes(encode(textured(seed), "PNG"))
        piece = cv2.resize(
            textured(seed)[80:230, 110:290], (360, 300), interpolation=cv2.INTER_CUBIC
        )
        (photos / f"q{seed}.png").write_bytes(encode(piece, "PNG"))
    few = ("--neighbours", 1, "--precision", "0.9")
    without = scanned(photos, model, tmp_path / "out", *few, "--local-candidates", 0)
    found = {
        frozenset((Path(row["original"]).stem, Path(row["copy"]).stem))
        for row in scanned(photos, model, tmp_path / "out", *few)
    }
    right = {frozenset((f"p{seed}", f"q{seed}")) for seed in range(8)}
    assert found <= right
    assert len(found) > len(without)
    (votes,) = (tmp_path / "out").glob("*-votes.npz")
    written = votes.stat().st_mtime_ns
    again = scanned(photos, model, tmp_path / "out", *few)
    assert len(again) == len(found)
    assert votes.stat().st_mtime_ns == written, "nothing is asked again where nothing has changed"
    votes.write_bytes(b"damaged")
    assert scanned(photos, model, tmp_path / "out", *few) == again
    (photos / "q0.png").unlink()
    assert len(scanned(photos, model, tmp_path / "out", *few)) <= len(found)
    assert votes.stat().st_mtime_ns != written
    assert (
        scan(photos, "--local-candidates", -1, "--model", model, "--output", tmp_path / "out") == 2
    )


def test_a_large_library_keeps_a_coded_index(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_feature_store, "EXACT_REFERENCES", 4)
    photos = tmp_path / "photos"
    photos.mkdir()
    for seed in range(6):
        (photos / f"p{seed}.png").write_bytes(encode(textured(seed), "PNG"))
        piece = cv2.resize(textured(seed)[60:240, 80:320], (360, 270))
        (photos / f"q{seed}.png").write_bytes(encode(piece, "PNG"))
    few = ("--neighbours", 1, "--precision", "0.9")

    def pairs() -> set[frozenset[str]]:
        rows = scanned(photos, model, tmp_path / "out", *few)
        return {frozenset((Path(row["original"]).stem, Path(row["copy"]).stem)) for row in rows}

    right = {frozenset((f"p{seed}", f"q{seed}")) for seed in range(6)}
    assert len(pairs() & right) >= 4
    (folder,) = (tmp_path / "out").glob("cache-*-local.codes")
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*.npy")}
    assert before
    (photos / "q0.png").unlink()
    assert frozenset(("p0", "q0")) not in pairs()
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*.npy")} == before, "masked"
    assert start("doctor", [str(folder), "--quiet"]) == 0
    damaged = max(folder.glob("*.signs.npy"))
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"!")
    assert start("doctor", [str(folder), "--quiet"]) == 1
