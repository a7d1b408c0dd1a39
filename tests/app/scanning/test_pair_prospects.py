from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from asl.app.scanning import pair_prospects
from asl.app.scanning.pair_prospects import (
    PairProspects,
    hopeless_text,
    packaged_prospects,
    prospects_of,
)
from asl.model_names import packaged_hashes
from asl.shared_defaults import MODEL
from asl.storage import write_json
from asl.types import AslError

RULE = PairProspects("m", 0.75, 5, 0.6, 0.5, 2.0)


def test_every_cue_alone_suffices() -> None:
    cosines = np.array([0.4, 0.4, 0.5, 0.6], np.float32)
    votes = np.array([1.9, 2.0, 0.0, 0.0], np.float32)
    assert RULE.is_tested(cosines, votes).tolist() == [False, True, True, True]
    cosines = np.array([0.74, 0.76, 0.74, 0.74, 0.59], np.float32)
    agreeing = np.array([4.0, 0.0, 5.0, np.nan, np.nan])
    assert RULE.is_compared(cosines, agreeing).tolist() == [False, True, True, True, False]


def test_more_of_a_cue_never_speaks_against_a_pair() -> None:
    chance = np.random.default_rng(0)
    cosines, more = np.sort(chance.uniform(0, 1, (2, 500)).astype(np.float32), axis=0)
    votes, more_votes = np.sort(chance.uniform(0, 6, (2, 500)).astype(np.float32), axis=0)
    agreeing, more_agreeing = np.sort(chance.integers(0, 9, (2, 500)).astype(float), axis=0)
    assert not (RULE.is_tested(cosines, votes) & ~RULE.is_tested(more, more_votes)).any()
    assert not (RULE.is_compared(cosines, agreeing) & ~RULE.is_compared(more, more_agreeing)).any()


def test_the_default_model_has_a_rule() -> None:
    """New weights need a new rule: CONTRIBUTING has the commands."""
    assert prospects_of(packaged_hashes()[MODEL]) is not None
    assert prospects_of("another") is None


@pytest.mark.parametrize("name", packaged_prospects())
def test_a_packaged_rule_is_for_a_packaged_model(name: str) -> None:
    rule = packaged_prospects()[name]
    assert prospects_of(packaged_hashes()[name]) is rule
    assert 0 < rule.tested_cosine < rule.compared_cosine < 1
    assert 0 <= rule.untold_cosine <= rule.compared_cosine


def test_another_model_has_no_rule() -> None:
    assert prospects_of("another") is None


def test_a_damaged_rule_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_prospects, "files", lambda _: tmp_path)
    path = tmp_path / pair_prospects.FILE
    whole = {"format": pair_prospects.FORMAT, "rules": {"m": RULE.to_plain()}}
    write_json(path, whole)
    read = packaged_prospects.__wrapped__
    assert read() == {"m": RULE}
    write_json(path, {**whole, "rules": {"m": {**RULE.to_plain(), "least_agreeing": None}}})
    with pytest.raises(AslError, match="damaged"):
        read()
    write_json(path, {**whole, "rules": None})
    with pytest.raises(AslError, match="it has no rules"):
        read()
    write_json(path, {**whole, "format": "asl-pair-prospects-2"})
    with pytest.raises(AslError, match="another version"):
        read()
    path.write_text(json.dumps({**whole, "sha256": "0" * 64}))
    with pytest.raises(AslError):
        read()


def test_what_was_skipped_is_said() -> None:
    assert hopeless_text(1).startswith("1 candidate pair has too little")
    assert "--compare all" in hopeless_text(2)
