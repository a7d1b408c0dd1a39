"""A packaged model with the cosines of an earlier one keeps its rule."""

from __future__ import annotations

import shutil
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from asl.app.scanning.pair_prospects import FILE, FORMAT, PairProspects, read_rules
from asl.model_names import packaged_hashes
from asl.storage import write_json

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import fit_prospects
from fit_prospects import Compared


def test_a_rule_is_kept_under_the_new_hash(tmp_path: Path) -> None:
    path = tmp_path / FILE
    shutil.copyfile(str(files("asl.app.scanning").joinpath(FILE)), path)
    packaged = read_rules(path)
    rules = read_rules(path)
    rules["asl_lite1"]["model"] = "of another norm head"
    write_json(path, {"format": FORMAT, "rules": rules})
    assert fit_prospects.main(["--same-cosines", "asl_lite1", "--output", str(path)]) == 0
    assert read_rules(path) == packaged
    assert packaged["asl_lite1"]["model"] == packaged_hashes()["asl_lite1"]


def test_a_model_without_a_rule_and_a_missing_file_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / FILE
    shutil.copyfile(str(files("asl.app.scanning").joinpath(FILE)), path)
    with pytest.raises(SystemExit, match="has no rule for 'mine'; it has asl_lite0, asl_lite1"):
        fit_prospects.main(["--same-cosines", "mine", "--output", str(path)])
    with pytest.raises(SystemExit):
        fit_prospects.main(["--same-cosines", "asl_lite1"])
    assert "name the file of the rules with --output" in capsys.readouterr().err


def test_pairs_of_few_features_have_a_cosine_of_their_own() -> None:
    """Blurred copies at .4, which no feature tells; strangers of many features up to .5."""
    copies, strangers = 20, 60
    cosines = np.concatenate([np.full(copies, 0.4), np.linspace(0.2, 0.5, strangers)])
    agreeing = np.concatenate([np.full(copies, np.nan), np.zeros(strangers)])
    probability = np.concatenate([np.full(copies, 0.99), np.full(strangers, 0.01)])
    rows = np.arange(copies + strangers)
    scan = Compared(
        "m", 2 * rows, 2 * rows + 1, cosines.astype(np.float32), 0 * cosines, agreeing, probability
    )
    tests = PairProspects("m", 0.3, 5, 0.0, 0.2, 2.0)
    rule = fit_prospects.fitted_rule(scan, 0.0, tests)
    assert (rule.tested_cosine, rule.tested_votes) == (0.2, 2.0)
    assert rule.untold_cosine <= 0.4 < 0.5 <= rule.compared_cosine
    assert fit_prospects.measured(rule, scan)["compared"] == copies
    assert fit_prospects.measured(tests, scan)["compared"] > copies
