"""Verified searches: columns, limits, and the index kept beside the references."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import cv2
import pytest

from asl import CopyDetector, search
from asl.cli import compose
from asl.data.scenes import render_scene
from asl.pipeline import search_plan
from asl.scoring.calibration import Calibration
from asl.scoring.score import Score


def verified(files: Path, output: Path, *more: str) -> list[dict[str, str]]:
    keys = [
        f"queries={files / 'new'}",
        f"references={files / 'library'}",
        f"output={output / 'p.csv'}",
        "workers=0",
    ]
    keys += ["score=verified", "candidate_score=cosine", f"model={files / 'm.safetensors'}"]
    assert search.run(compose("search", [*keys, *more])) == 0
    with (output / "p.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_direction_is_what_was_seen(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calibration = Calibration(Score("cosine"), offset=0.0, slope=1.0, thresholds=())
    monkeypatch.setattr(search_plan, "find_calibrations", lambda *_: {"cosine": calibration})
    rows = {(row["query_id"], row["reference_id"]): row for row in verified(files, tmp_path, "k=4")}
    assert len(rows) == 5 * 4
    for (query, reference), row in rows.items():
        copy = query == reference and query != "3.png"
        assert (float(row["score"]) > 0.5) == copy
        assert (row["direction"] == "reference->query") == copy, (query, reference, row)
        assert "probability" not in row, "the score is the probability"
    assert rows["3.png", "3.png"]["direction"] == "query->reference"
    assert rows["4.png", "0.png"]["direction"] == "none"


def test_the_direction_is_the_one_that_a_detector_names(files: Path, tmp_path: Path) -> None:
    queries, path = tmp_path / "queries", files / "library" / "0.png"
    queries.mkdir()
    picture = cv2.imread(str(path))
    (queries / "same.png").write_bytes(path.read_bytes())
    cv2.imwrite(str(queries / "mirrored.png"), picture[:, ::-1])
    cv2.imwrite(str(queries / "smaller.png"), cv2.resize(picture, (128, 96)))
    cv2.imwrite(str(queries / "crop.png"), picture[20:170, 30:220])
    rows = verified(files, tmp_path, f"queries={queries}", f"references={path.parent}", "k=4")
    named = {(row["query_id"], row["reference_id"]): row["direction"] for row in rows}
    with CopyDetector(files / "m.safetensors") as detector:
        detector.add(path.parent)
        found = {
            (query.name, match.reference): match.direction
            for query in queries.iterdir()
            for match in detector.query(query)
        }
    assert found == {
        ("same.png", "0.png"): "unclear",
        ("mirrored.png", "0.png"): "unclear",
        ("smaller.png", "0.png"): "reference->query",
        ("crop.png", "0.png"): "reference->query",
    }
    assert {pair: word for pair, word in named.items() if word != "none"} == found


def test_most_is_over_what_the_pixels_show(files: Path, tmp_path: Path) -> None:
    every = verified(files, tmp_path, "k=3", "local_candidates=2")
    best = sorted(every, key=lambda row: -float(row["score"]))[:2]
    rows = verified(files, tmp_path, "k=3", "local_candidates=2", "most=2")
    assert Counter(row["query_id"] for row in rows) == Counter(row["query_id"] for row in best)
    assert sorted(row["score"] for row in rows) == sorted(row["score"] for row in best)


def test_the_kept_index_follows_changed_images(files: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    library.mkdir()
    for path in (files / "library").iterdir():
        (library / path.name).write_bytes(path.read_bytes())
    more = [f"references={library}", "k=1", "local_candidates=1"]
    verified(files, tmp_path, *more)
    kept = tmp_path / "p.csv.features" / "references" / "local.npz"
    before = kept.read_bytes()
    verified(files, tmp_path, *more)
    assert kept.read_bytes() == before
    cv2.imwrite(str(library / "2.png"), render_scene(50, height=192, width=256)[..., ::-1])
    verified(files, tmp_path, *more)
    assert kept.read_bytes() != before
