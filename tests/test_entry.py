"""The contract of every command: exit codes, help, wrong keys, a configuration found from anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from asl import reproduce
from asl.entry import compose
from asl.types import UsageError

ENTRIES = ["train", "extract", "search", "evaluate", "reproduce", "edit", "export"]


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, env={**os.environ})


@pytest.mark.parametrize("entry", ENTRIES)
def test_help_teaches(entry: str, tmp_path: Path) -> None:
    done = run(f"asl.{entry}", "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"python -m asl.{entry}" in done.stdout, "help shows an example"
    assert "Keys and their defaults" in done.stdout


def test_a_misspelt_key_fails_and_says_what_is_near(tmp_path: Path) -> None:
    done = run("asl.train", "data.trian=x", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.strip() == "error: unknown key 'data.trian'; did you mean data.train?"
    assert not any(tmp_path.iterdir()), "wrong use leaves nothing behind"


def test_a_missing_value_is_wrong_use(tmp_path: Path) -> None:
    done = run("asl.extract", "model=lite0", cwd=tmp_path)
    assert done.returncode == 2
    assert "images" in done.stderr


def test_an_unknown_option_lists_the_known_ones(tmp_path: Path) -> None:
    done = run("asl.train", "data=smaple", cwd=tmp_path)
    assert done.returncode == 2
    assert "sample" in done.stderr


@pytest.mark.parametrize("keys", [["verify_local=-1"], ["verify_top=0"]])
def test_reproduce_names_a_wrong_number_of_candidates_before_it_embeds(keys: list[str]) -> None:
    name, _, value = keys[0].partition("=")
    with pytest.raises(UsageError, match=f"{name}: must be . or more, got {value}"):
        reproduce.run(compose("reproduce", ["benchmark=sample", *keys]))
