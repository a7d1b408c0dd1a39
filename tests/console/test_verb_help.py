"""Help of a verb: examples, every key with its default and explanation, presets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from asl.console.configuration import config_dir
from asl.console.schema_groups import keys_of
from asl.console.train_words import schema_keys
from asl.console.verb_help import print_help
from asl.console.verbs import VERBS

ENTRIES = ["train", "extract", "search", "evaluate", "reproduce", "edit", "export"]


@pytest.mark.parametrize("entry", ENTRIES)
def test_help_teaches(entry: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"asl.{entry}", "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"  asl {entry} " in done.stdout, "help shows an example"
    assert "Exit code: 0" in done.stdout


@pytest.mark.parametrize("verb", sorted(set(VERBS) - {"train"}))
def test_every_key_is_listed_with_its_explanation(
    verb: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    print_help(VERBS[verb])
    printed = capsys.readouterr().out
    words = " ".join(printed.split())
    for name, key in keys_of(VERBS[verb].schema).items():
        option = f"--{name.replace('_', '-')}"
        shown = name.upper() if name in VERBS[verb].positional else None
        assert (shown or (option if VERBS[verb].options else f"{name}=")) in words
        assert key.explanation.split(";")[0][:40] in words
    assert max(map(len, printed.splitlines())) <= 100


def test_required_keys_defaults_and_choices_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    print_help(VERBS["reproduce"])
    words = " ".join(capsys.readouterr().out.split())
    assert "Required. One of ndec, disc21_dev1" in words
    assert "sizes=null" in words
    assert "verify=false" in words
    assert "lam=null" in words
    print_help(VERBS["scan"])
    words = " ".join(capsys.readouterr().out.split())
    assert "--precision=0.95" in words
    assert "--quiet=" not in words, "a flag is given without a value"


def test_help_of_training_lists_every_key_and_preset(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    print_help(VERBS["train"])
    printed = capsys.readouterr().out
    groups = ("data", "trainer", "model", "loss", "optim", "edits", "score")
    for name in set(schema_keys()) - set(groups):
        assert f"{name}=" in printed
    for path in config_dir().glob("*/*.yaml"):
        assert f"{path.parent.name}={path.stem}" in printed
    assert "++" not in printed


def test_help_says_the_exit_codes_once(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in VERBS.values():
        print_help(verb)
        assert capsys.readouterr().out.count("Exit code") == 1, verb.name
