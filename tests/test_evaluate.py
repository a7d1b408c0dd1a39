"""``python -m asl.evaluate``: the contract of its files, refusals, evaluation without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import pytest

from asl.cli import compose, start
from asl.console.schemas.evaluate_config import EvaluateConfig
from asl.data.isc_hdf5 import write_descriptors, write_submission
from asl.data.pairs import read_pairs, write_pairs
from asl.data.truth import read_groups
from asl.evaluate import run
from asl.features.feature_store import FeatureStore
from asl.index.exact.exact_search import search
from asl.metrics.evaluation import evaluate
from asl.scoring.normalization import ScoreNormalization
from asl.scoring.score import Score
from asl.types import (
    AslError,
    BackgroundEmbeddings,
    Embeddings,
    QueryEmbeddings,
    ReferenceEmbeddings,
    UsageError,
)

ROOT = Path(__file__).resolve().parents[1]
PREDICTIONS = "Q1,R1,0.9\nQ9,R1,0.8\nQ2,R2,0.7\nQ3,R3,0.6\nQ4,R9,0.5\n"
TRUTH = "query_id,reference_id,kind\nQ1,R1,crop\nQ2,R2,crop\nQ3,R3,pad\nQ4,R4,pad\nQ9,,hard:video\n"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "p.csv").write_text(PREDICTIONS)
    (tmp_path / "t.csv").write_text(TRUTH)
    return tmp_path


def call(folder: Path, **keys: Any) -> dict[str, Any]:
    settings = {"output": str(folder / "out"), "bootstrap": 20, **keys}
    assert run(EvaluateConfig(**settings)) == 0
    document: dict[str, Any] = json.loads((folder / "out" / "metrics.json").read_text())
    return document


def test_the_contract_of_metrics_json(files: Path) -> None:
    result = call(files, predictions=f"{files}/p.csv", truth=f"{files}/t.csv")
    assert result["uap"] == pytest.approx(0.604167, abs=1e-6)
    assert (result["recall_at_p90"], result["threshold_at_p90"]) == (0.25, 0.9)
    assert (result["recall_at_1"], result["recall_at_10"]) == (0.75, 0.75)
    assert result["intervals"]["uap"][0] <= result["uap"] <= result["intervals"]["uap"][1]
    assert result["hard_false_match_rate"] == 0
    assert result["context"]["command"] == "asl evaluate"
    assert sorted(p.name for p in (files / "out").iterdir()) == [
        "asl.sha256",
        "metrics.json",
        "precision_recall.csv",
        "report.html",
        "report.md",
    ]


def test_a_report_has_the_whole_command(files: Path) -> None:
    words = [f"predictions={files}/p.csv", f"truth={files}/t.csv", f"output={files}/out"]
    assert start("evaluate", words) == 0
    for name in ("metrics.json", "report.md", "report.html"):
        assert f"asl evaluate {' '.join(words)}" in (files / "out" / name).read_text()


def test_a_precision_that_is_never_reached_is_null(files: Path) -> None:
    (files / "p.csv").write_text("Q9,R1,0.9\nQ2,R2,0.8\n")
    result = call(files, predictions=f"{files}/p.csv", truth=f"{files}/t.csv")
    assert (result["uap"], result["recall_at_p90"], result["threshold_at_p90"]) == (0.125, 0, None)


def test_groups_precision_and_no_bootstrap(files: Path) -> None:
    (files / "g.csv").write_text("query_id,group\nQ1,easy\nQ4,hard\n")
    keys = {"groups": f"{files}/g.csv", "precision": 0.7, "bootstrap": 0}
    result = call(files, predictions=f"{files}/p.csv", truth=f"{files}/t.csv", **keys)
    assert result["by_group"]["easy"]["uap"] == 1
    assert result["operating_point"] == {"precision": 0.7, "threshold": 0.6}
    assert result["hard_false_match_rate"] == 1
    assert result["intervals"] == {}


def test_comparison_of_two_runs(files: Path) -> None:
    (files / "b.csv").write_text("Q1,R1,0.9\nQ2,R2,0.8\nQ3,R3,0.7\nQ4,R4,0.6\n")
    result = call(files, compare=[f"{files}/p.csv", f"{files}/b.csv"], truth=f"{files}/t.csv")
    assert result["differences"]["b"]["uap"]["value"] == pytest.approx(1 - 0.604167, abs=1e-6)
    assert list(result["scores"]) == ["p", "b"]
    assert "Against p" in (files / "out" / "report.html").read_text()


def test_files_of_one_name_are_told_apart(files: Path) -> None:
    (files / "other").mkdir()
    (files / "other" / "p.csv").write_text("Q1,R1,0.9\n")
    result = call(files, compare=[f"{files}/p.csv", f"{files}/other/p.csv"], truth=f"{files}/t.csv")
    assert list(result["scores"]) == [f"{files}/p.csv", f"{files}/other/p.csv"]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "give one of"),
        ({"predictions": "p.csv", "benchmark": "x"}, "give one of"),
        ({"predictions": "p.csv", "truth": None}, "truth: needed"),
        ({"predictions": "gone.csv"}, r"predictions: there is no .*gone\.csv"),
        ({"predictions": "p.csv", "truth": "gone.csv"}, r"truth: there is no"),
        ({"predictions": "p.csv", "groups": "gone.csv"}, r"groups: there is no"),
        ({"predictions": "p.csv", "precision": 0.0}, "precision"),
        ({"compare": ["p.csv"]}, "two different files"),
        ({"compare": ["p.csv", "p.csv"]}, "two different files"),
        ({"queries": "store"}, "references: needed"),
        ({"queries": "gone.h5"}, r"queries: there is no"),
        ({"benchmark": "x"}, "truth: benchmark= brings its own"),
        (
            {"benchmark": "x", "truth": None, "background": "b"},
            "background: benchmark= brings its own",
        ),
        (
            {"benchmark": "x", "truth": None, "query_images": "q"},
            "query_images: benchmark= brings its own",
        ),
        (
            {"benchmark": "x", "truth": None, "reference_images": "q"},
            "reference_images: benchmark= brings its own",
        ),
        ({"predictions": "."}, "predictions: . is a folder; give a .csv or .parquet file"),
        ({"predictions": "p.csv", "truth": "."}, "truth: . is a folder; give a .csv file"),
    ],
)
def test_wrong_use_is_told_in_a_line(
    files: Path, monkeypatch: pytest.MonkeyPatch, keys: dict[str, Any], message: str
) -> None:
    monkeypatch.chdir(files)
    with pytest.raises(UsageError, match=message):
        run(EvaluateConfig(**{"truth": "t.csv", "output": "out", **keys}))
    assert not (files / "out").exists()


def test_broken_files_are_named_with_the_line(files: Path) -> None:
    (files / "p.csv").write_text("query_id,reference_id,score\nQ1,R1,0.9\nQ2,R2\n")
    with pytest.raises(AslError, match=r"p\.csv, line 3"):
        call(files, predictions=f"{files}/p.csv", truth=f"{files}/t.csv")
    (files / "p.csv").write_text("Q1.jpg,R1.jpg,0.9\n")
    with pytest.raises(AslError, match=r"Q1\.jpg.*Q1.*same id format"):
        call(files, predictions=f"{files}/p.csv", truth=f"{files}/t.csv")
    (files / "g.csv").write_text("Q1,a\nQ1,b\n")
    with pytest.raises(AslError, match=r"line 2: Q1 is in two groups"):
        read_groups(files / "g.csv")
    (files / "g.csv").write_text("Q1,a\nQ2\n")
    with pytest.raises(AslError, match=r"g\.csv, line 2"):
        read_groups(files / "g.csv")


def some(names: list[str], seed: int, *, near: np.ndarray | None = None) -> Embeddings:
    rng = np.random.default_rng(seed)
    features = (
        rng.normal(size=(len(names), 16))
        if near is None
        else near + 0.3 * rng.normal(size=near.shape)
    )
    return Embeddings.from_features(names, features * rng.uniform(1, 2, (len(names), 1)))


@pytest.fixture
def sides(files: Path) -> tuple[QueryEmbeddings, ReferenceEmbeddings, BackgroundEmbeddings]:
    references = some([f"R{n}" for n in range(30)], 0)
    near = references.vectors[[1, 2, 3, 4, 9]] * 4
    queries = some(["Q1", "Q2", "Q3", "Q4", "Q9"], 1, near=near)
    return (
        queries.as_queries(),
        references.as_references(),
        some([f"T{n}" for n in range(20)], 2).as_background(),
    )


def test_descriptors_of_a_submission_are_searched(files: Path, sides) -> None:
    queries, references, _ = sides
    write_submission(queries, references, files / "s.h5")
    keys = {
        "queries": f"{files}/s.h5",
        "truth": f"{files}/t.csv",
        "score": "cosine",
        "engine": "exact",
    }
    result = call(files, **keys)
    expected = evaluate(
        search(queries, references, score=Score("cosine"), engine="exact"), truth(files)
    )
    assert result["uap"] == pytest.approx(expected.uap, abs=1e-9)
    assert (files / "out" / "predictions" / "cosine.csv").is_file()


def truth(files: Path):
    from asl.data.truth import read_truth

    return read_truth(files / "t.csv")


def test_descriptors_and_stores_in_every_mode_with_normalisation(files: Path, sides) -> None:
    queries, references, background = sides
    write_descriptors(queries, files / "q.hdf5")
    write_descriptors(background, files / "b.hdf5")
    store = FeatureStore.create(files / "r", model="m", dim=16, preprocessing={})
    store.add(
        references.ids.tolist(), references.vectors * np.exp(references.log_norms)[:, None], []
    )
    keys = {
        "queries": f"{files}/q.hdf5",
        "references": f"{files}/r",
        "background": f"{files}/b.hdf5",
        "truth": f"{files}/t.csv",
        "score": "all",
        "normalize": "subtract",
        "engine": "exact",
        "lam": 0.02,
    }
    result = call(files, **keys)
    assert list(result["scores"]) == ["cosine", "paper", "strict", "soft", "hinge"]
    rule = Score("hinge", 0.02, 0.0, None, ScoreNormalization())
    pairs = search(queries, references, score=rule, engine="exact", background=background)
    assert result["scores"]["hinge"]["uap"] == pytest.approx(
        evaluate(pairs, truth(files)).uap, abs=1e-6
    )
    assert result["directional"]["norm_order_accuracy"] <= 1


@pytest.mark.parametrize("odd", ["queries", "references", "background"])
def test_stores_of_different_models_are_refused_by_name(files: Path, sides, odd: str) -> None:
    keys = {}
    for key, side in zip(("queries", "references", "background"), sides, strict=True):
        store = FeatureStore.create(
            files / key, model="other" if key == odd else "m", dim=16, preprocessing={}
        )
        store.add(side.ids.tolist(), side.vectors, [])
        keys[key] = str(store.path)
    with pytest.raises(
        AslError,
        match=rf"of different models \(.*{odd}: .*\(other\).*extract all .* one model=",
    ):
        call(files, **keys, truth=f"{files}/t.csv", score="cosine", normalize="subtract")
    assert not (files / "out").exists()


def test_searches_refuse_what_they_cannot_do(files: Path, sides) -> None:
    write_submission(*sides[:2], files / "s.h5")
    wrong: dict[str, dict[str, Any]] = {
        "background: needed": {"normalize": "subtract"},
        "score: expected one of": {"score": "l2"},
        "normalize: expected one of none": {"normalize": "zscore"},
    }
    for message, keys in wrong.items():
        with pytest.raises(UsageError, match=message):
            call(files, queries=f"{files}/s.h5", truth=f"{files}/t.csv", **keys)


def test_pictures_come_in_where_their_folders_are_given(files: Path) -> None:
    for folder, names in (("q", ("Q1", "Q2", "Q9")), ("r", ("R1", "R2"))):
        (files / folder).mkdir()
        for name in names:
            cv2.imwrite(str(files / folder / f"{name}.png"), np.zeros((8, 8, 3), np.uint8))
    folders = {"query_images": f"{files}/q", "reference_images": f"{files}/r", "id_style": "stem"}
    call(files, predictions=f"{files}/p.csv", truth=f"{files}/t.csv", **folders)
    text = (files / "out" / "report.html").read_text()
    assert text.count("data:image/jpeg") >= 2
    assert "no image" in text


def test_pairs_are_evaluated_without_torch(files: Path) -> None:
    code = (
        "import sys; from asl.evaluate import main; main(); "
        "heavy = {'torch', 'faiss', 'lightning', 'timm', 'albumentations'}; "
        "print('HEAVY', sorted(heavy & set(sys.modules)))"
    )
    keys = [f"predictions={files}/p.csv", f"truth={files}/t.csv", f"output={files}/out"]
    done = subprocess.run(
        [sys.executable, "-c", code, *keys], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "HEAVY []" in done.stdout
    assert (files / "out" / "metrics.json").is_file()


@pytest.mark.parametrize(
    ("key", "code", "text"),
    [
        ("predictons=x.csv", 2, "did you mean predictions"),
        ("predictions=gone.csv", 2, "there is no gone.csv"),
        ("predictions=bad.csv", 1, "bad.csv, line 1"),
    ],
)
def test_exit_codes(files: Path, key: str, code: int, text: str) -> None:
    (files / "bad.csv").write_text("Q1;R1;0.5\n")
    command = [sys.executable, "-m", "asl.evaluate", key, "truth=t.csv", "output=out"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        command, cwd=files, capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == code, done.stderr
    assert text in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_the_keys_compose() -> None:
    config = compose("evaluate", ["output=x", "compare=[a.csv,b.csv]"])
    assert config.compare == ["a.csv", "b.csv"]


@pytest.mark.shared
@pytest.mark.parametrize(
    ("codec", "rule", "k"),
    [
        ("Flat", None, 10),
        ("Flat", "1.0[0,2]", 1),
        ("Flat", "0.5[0]", 10),
        ("Flat", "1.0[9]", 1),
        ("PCAW128,L2norm,Flat", None, 1),
        ("PCAW64,L2norm,Flat", None, 10),
        ("PCAW128,L2norm,Flat", "1.0[0,2]", 10),
        ("PCAW64,L2norm,Flat", "1.0[0,2]", 1),
        ("PCAW128,L2norm,Flat", "0.5[0]", 1),
        ("PCAW64,L2norm,Flat", "0.5[0]", 10),
    ],
)
def test_official_numbers_from_real_descriptors(
    shared_data: Path, tmp_path: Path, codec: str, rule: str | None, k: int
) -> None:
    """The public SSCD evaluator's own results: search, normalisation, whitening and the metric."""
    golden = shared_data / "golden"
    listed = json.loads((golden / "corel5k_bsds500_expected.json").read_text())["results"]
    wanted = {"codec": codec, "score_norm": rule, "k": k, "global_candidates": False}
    (expected,) = [r for r in listed if {key: r[key] for key in wanted} == wanted]
    with np.load(golden / "corel5k_bsds500_desc128.npz") as data:
        for name, ids, prefix in (
            ("queries", data["query_ids"], "Q"),
            ("refs", data["ref_ids"], "R"),
            ("train", None, "T"),
        ):
            values = data[name].astype(np.float32)
            numbers = np.arange(len(values)) if ids is None else ids
            with h5py.File(tmp_path / f"{name}.h5", "w") as file:
                file["vectors"] = values
                file["image_names"] = np.array(
                    [f"{prefix}{n:0{5 + (prefix == 'R')}d}" for n in numbers.tolist()], dtype="S"
                )
    beta, _, ranks = (rule or "1.0[0,2]").rstrip("]").partition("[")
    keys = {
        "queries": f"{tmp_path}/queries.h5",
        "references": f"{tmp_path}/refs.h5",
        "background": None if (codec, rule) == ("Flat", None) else f"{tmp_path}/train.h5",
        "truth": f"{golden}/corel5k_bsds500_gt.csv",
        "score": "cosine",
        "k": k,
        "bootstrap": 0,
        "engine": "exact",
        "normalize": "subtract" if rule is not None else "none",
        "sn_weight": float(beta),
        "sn_first": int(ranks.split(",")[0]),
        "sn_last": int(ranks.split(",")[-1]),
        "whiten": 0 if codec == "Flat" else int(codec.split(",")[0][4:]),
    }
    result = call(tmp_path, **keys)
    assert result["uap"] == pytest.approx(expected["uAP"], abs=2e-4)
    assert result["recall_at_p90"] == pytest.approx(expected["recall-at-p90"], abs=1e-9)
    assert result["accuracy_at_1"] == pytest.approx(expected["accuracy-at-1"], abs=1e-9)


def test_edited_predictions_are_refused_under_the_check(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Predictions from elsewhere have no checksum, which is said."""
    predictions, truth = files / "ours.csv", f"{files}/t.csv"
    write_pairs(read_pairs(files / "p.csv"), predictions)
    call(files, predictions=str(predictions), truth=truth, check_files=True)
    said = capsys.readouterr().err
    assert "t.csv: not compared: it has no checksum" in said
    assert "ours.csv" not in said
    predictions.write_text(predictions.read_text().replace("0.9", "0.8"))
    call(files, predictions=str(predictions), truth=truth)
    with pytest.raises(AslError, match=r"ours\.csv: edited or damaged since asl wrote it"):
        call(files, predictions=str(predictions), truth=truth, check_files=True)
