"""The decision: equal to scikit-learn, monotone where declared, read back as written."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from asl.matching.decision.fit_trees import MONOTONE, fit_trees
from asl.matching.decision.trees import TreeModel, load_model, parse_model
from asl.matching.values import EVIDENCE
from asl.types import AslError
from tests.matching.decision.conftest import pairs


@pytest.mark.parametrize("model", ["fitted", "packaged"])
def test_more_agreement_never_lowers_the_answer(fitted: TreeModel, model: str) -> None:
    chosen = fitted if model == "fitted" else load_model()
    rng = np.random.default_rng(1)
    start = rng.uniform(-1, 2, (200, len(EVIDENCE)))
    for name, sign in MONOTONE.items():
        if name not in chosen.names:
            continue
        moved = start.copy()
        moved[:, EVIDENCE.index(name)] += sign * rng.uniform(0, 2, len(start))
        assert (chosen.log_odds(moved) >= chosen.log_odds(start) - 1e-12).all(), name


def test_a_model_is_read_back_as_it_was_written(fitted: TreeModel, tmp_path: Path) -> None:
    evidence, _ = pairs(50)
    (tmp_path / "m.json").write_text(fitted.to_json())
    again = load_model(tmp_path / "m.json")
    np.testing.assert_array_equal(again.probability(evidence), fitted.probability(evidence))
    assert again.card == {"note": "a test"}


def test_the_packaged_model_says_where_it_comes_from() -> None:
    card = load_model().card
    assert card["data"]
    assert card["command"].startswith("python scripts/train_verifier.py")
    rows = card["thresholds"]
    assert [row["precision"] for row in rows] == sorted(row["precision"] for row in rows)
    assert all(a["threshold"] < b["threshold"] for a, b in itertools.pairwise(rows))
    assert all(0 < row["threshold"] < 1 for row in rows)


def test_broken_models_and_labels_are_refused(fitted: TreeModel, tmp_path: Path) -> None:
    evidence, _ = pairs(60)
    for text in ("", "[]", "{}", fitted.to_json()[:-40]):
        with pytest.raises(AslError, match="mine"):
            parse_model(text, name="mine")
    renamed = fitted.to_json().replace("corr_low", "corr_lowest")
    with pytest.raises(AslError, match=r"mine: .*its checksum differs"):
        parse_model(renamed, name="mine")
    with pytest.raises(AslError, match=r"unknown evidence.*corr_lowest"):
        parse_model(renamed.replace('"sha256"', '"was"'), name="mine")
    with pytest.raises(AslError, match="cannot be read"):
        load_model(tmp_path / "nothing.json")
    (tmp_path / "latin.json").write_bytes(b"\xff\xfe")
    with pytest.raises(AslError, match=r"latin\.json: damaged"):
        load_model(tmp_path / "latin.json")
    with pytest.raises(AslError, match="expected copies and other pairs"):
        fit_trees(evidence, np.ones(60, dtype=bool))
    with pytest.raises(AslError, match="expected shape"):
        fitted.log_odds(evidence[:, :3])
