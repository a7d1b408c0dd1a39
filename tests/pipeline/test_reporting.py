"""A benchmark is scored from images to a report that names its protocol."""

from __future__ import annotations

import json
from pathlib import Path

import cv2

from asl.data.layouts import open_benchmark
from asl.data.pairs import read_pairs
from asl.data.scenes import render_scene
from asl.features.embed_options import EmbedOptions
from asl.models import build_embedder
from asl.pipeline.benchmark_run import Protocol, every_mode
from asl.pipeline.reporting import score_benchmark
from asl.scoring.score import MODES, Score


def test_scores_predictions_and_reports_agree(tmp_path: Path) -> None:
    for role, count in (("queries", 2), ("references", 4), ("train", 3)):
        (tmp_path / role).mkdir()
        for number in range(count):
            scene = render_scene(number, height=48, width=64)[..., ::-1]
            cv2.imwrite(str(tmp_path / role / f"{role[0]}{number}.png"), scene)
    (tmp_path / "truth.csv").write_text("query_id,reference_id\nq0,r0\nq1,r1\n")
    evaluations = score_benchmark(
        open_benchmark(tmp_path),
        build_embedder(backbone="mobilenetv3_small_050", size=32, dim=8).eval(),
        lambda inputs: every_mode(inputs, Score()),
        output=tmp_path / "out",
        protocol=Protocol(k=3),
        bootstrap=0,
        context={"made": "here"},
        options=EmbedOptions(workers=0),
    )
    assert list(evaluations) == list(MODES)
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["scores"]["cosine"]["uap"] == evaluations["cosine"].uap
    assert metrics["context"] == {"protocol": "3 nearest of every query", "made": "here"}
    for mode in MODES:
        pairs = read_pairs(tmp_path / "out" / "predictions" / f"{mode}.csv")
        assert len(pairs) == evaluations[mode].counts["predictions"] <= 6
    assert (
        (tmp_path / "out" / "report.md")
        .read_text()
        .splitlines()[0]
        .endswith("query to reference, 3 nearest of every query")
    )
    assert sorted(path.name for path in (tmp_path / "out" / "features").iterdir()) == [
        "queries",
        "references",
    ]
