"""Runs to evaluate: files by name, descriptors by role, gaps between ids told or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from asl.data.isc_hdf5 import write_descriptors
from asl.evaluate import EvaluateConfig, run
from asl.types import AslError, Embeddings, UsageError


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Descriptors of five queries, each near its reference, of 20 references and 9 others."""
    rng = np.random.default_rng(0)
    references = rng.normal(size=(20, 16))
    queries = references[:5] + 0.2 * rng.normal(size=(5, 16))
    for name, features, prefix in (
        ("q", queries, "Q"),
        ("r", references, "R"),
        ("t", rng.normal(size=(9, 16)), "T"),
    ):
        ids = [f"{prefix}{n}" for n in range(len(features))]
        write_descriptors(Embeddings.from_features(ids, features), tmp_path / f"{name}.h5")
    kept = Embeddings.from_features([f"R{n}" for n in range(2, 20)], references[2:])
    write_descriptors(kept, tmp_path / "fewer.h5")
    truth = "query_id,reference_id\n" + "".join(f"Q{n},R{n}\n" for n in range(5))
    (tmp_path / "t.csv").write_text(truth)
    return tmp_path


def evaluate(files: Path, **keys: object) -> int:
    settings = {
        "queries": str(files / "q.h5"),
        "references": str(files / "r.h5"),
        "truth": str(files / "t.csv"),
        "output": str(files / "out"),
        "score": "cosine",
        "engine": "exact",
        "bootstrap": 0,
        **keys,
    }
    return run(EvaluateConfig(**settings))  # type: ignore[arg-type]


def test_missing_references_are_told_before_the_table(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(files) == 0
    captured = capsys.readouterr()
    assert "not among" not in captured.err
    assert "10 nearest of every query" in captured.out
    assert evaluate(files, references=str(files / "fewer.h5")) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "2 of the 5 references in the truth are not among the 18 that are searched" in said
    assert "'R0'" in said


def test_the_protocol_is_in_the_table_and_the_report(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(files, most=60) == 0
    assert "60 best pairs over all queries" in capsys.readouterr().out
    lines = (files / "out" / "predictions" / "cosine.csv").read_text().splitlines()
    assert len(lines) == 61
    title = (files / "out" / "report.md").read_text().splitlines()[0]
    assert title == "# out, 60 best pairs over all queries"


@pytest.mark.parametrize(
    ("keys", "error", "said"),
    [
        (
            {"background": "r.h5", "normalize": "subtract"},
            AslError,
            "20 of its 20 images are among the references, too",
        ),
        ({"background": "t.h5"}, UsageError, "^background: has no effect without normalize="),
        ({"normalize": "subtract"}, UsageError, "^background: needed for normalize"),
        ({"sn_first": 1}, UsageError, "^sn_first: has no effect with normalize=none"),
        ({"lam": 0.1}, UsageError, "^lam: has no effect with score cosine"),
        ({"layout": "ndec"}, UsageError, "^layout: has no effect without benchmark="),
        ({"k": 0}, UsageError, "^k: must be 1 or more, got 0"),
        ({"id_style": "paths"}, UsageError, "^id_style: expected one of path, stem"),
    ],
)
def test_what_does_nothing_or_leaks_is_refused(
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
    keys: dict[str, object],
    error: type[Exception],
    said: str,
) -> None:
    monkeypatch.chdir(files)
    with pytest.raises(error, match=said):
        evaluate(files, **keys)
    assert not (files / "out").exists()


def test_search_keys_have_no_effect_on_predictions(files: Path) -> None:
    (files / "p.csv").write_text("Q0,R0,0.5\n")
    for keys in ({"k": 5}, {"score": "soft"}, {"normalize": "subtract"}, {"whiten": 4}):
        with pytest.raises(UsageError, match="has no effect on predictions"):
            run(
                EvaluateConfig(
                    predictions=str(files / "p.csv"),
                    truth=str(files / "t.csv"),
                    output=str(files / "out"),
                    **keys,  # type: ignore[arg-type]
                )
            )


def test_nothing_to_search_is_an_error(files: Path) -> None:
    empty = Embeddings(np.empty(0, "<U1"), np.empty((0, 16), np.float32), np.empty(0, np.float32))
    write_descriptors(empty, files / "none.h5")
    with pytest.raises(AslError, match="nothing to search, 5 queries and 0 references"):
        evaluate(files, references=str(files / "none.h5"))
