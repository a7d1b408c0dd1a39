"""A packaged model with the cosines of an earlier one keeps its rule."""

from __future__ import annotations

import shutil
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from asl.app.scanning.pair_prospects import FILE, FORMAT, read_rules
from asl.model_names import packaged_hashes
from asl.storage import write_json

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import fit_prospects


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
