"""Offers for a command line: verbs, keys, values, presets; scripts for three shells."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from asl.cli import main
from asl.console.completion import SHELLS, complete, offers
from asl.console.configuration import config_dir
from asl.console.offered_values import LAYOUTS, offered_values
from asl.console.schema_groups import keys_of
from asl.console.verbs import VERBS
from asl.types import UsageError


def completed(line: str) -> list[str]:
    """What bash offers at the end of a line."""
    script = (
        f'asl() {{ "{sys.executable}" -m asl "$@"; }}\n{SHELLS["bash"]}\n'
        f'COMP_LINE="{line}"; COMP_POINT={len(line)}; _asl; echo "${{COMPREPLY[@]}}"'
    )
    command = ["bash", "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash on this machine")
def test_bash_completes_verbs_keys_and_values() -> None:
    assert completed("asl s") == ["scan", "serve", "search"]
    assert completed("asl scan --ag") == ["--against"]
    assert "--token-file" in completed("asl serve --")
    assert completed("asl completion f") == ["fish"]
    assert completed("asl extract im") == ["images="]
    assert completed("asl search output=x regions=c") == ["coarse"]
    assert completed("asl train experiment=l") == ["lyakaap"]


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_gets_a_script_without_errors(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["completion", shell])
    printed = capsys.readouterr().out
    assert "asl completion words" in printed
    if shutil.which(shell):
        checked = subprocess.run(
            [shell, "-n"], input=printed, text=True, capture_output=True, check=False
        )
        assert checked.returncode == 0, checked.stderr


def test_an_unknown_shell_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["completion", "tcsh"])
    assert stopped.value.code == 2
    assert "bash, zsh, fish" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("asl ", [*VERBS, "data", "completion"]),
        ("asl data ", ["check", "--help"]),
        ("asl completion ", list(SHELLS)),
        ("asl nosuchverb --", []),
        ("asl scan --form", ["--format"]),
        ("asl scan photos --format ", ["csv", "parquet", "json"]),
        ("asl scan photos --output ", []),
        ("asl scan photos", []),
        ("asl scan photos --device ", ["auto", "cpu", "cuda"]),
        ("asl scan photos model=", ["model=asl_lite0", "model=asl_lite1"]),
        ("asl search model=", ["model=asl_lite0", "model=asl_lite1", "model=lite0"]),
        ("asl search score=v", ["score=verified"]),
        ("asl edit edits=mod", ["edits=moderate", "edits=moderate_and_hard"]),
        ("asl edit edits=k", ["edits=kinds"]),
        ("asl evaluate layout=disc21_f", ["layout=disc21_final"]),
        ("asl reproduce benchmark=co", ["benchmark=copydays"]),
        ("asl data check nd", ["ndec"]),
        ("asl data check ndec --d", ["--decode"]),
        ("asl train model=res", ["model=resnet50"]),
        ("asl train score=h", ["score=hinge"]),
        ("asl train data.content=v", ["data.content=visible"]),
        ("asl train data.first_view=o", ["data.first_view=original"]),
        ("asl train data.evaluate=f", ["data.evaluate=false"]),
        (
            "asl export format=",
            [f"format={kind}" for kind in ("onnx", "torch_export", "safetensors", "null")],
        ),
        ("asl extract check_files=t", ["check_files=true"]),
        ("asl train experiment=ly", ["experiment=lyakaap"]),
        ("asl train trainer.max_e", ["trainer.max_epochs="]),
    ],
)
def test_offers_end_the_line(line: str, expected: list[str]) -> None:
    assert offers(line) == expected


@pytest.mark.parametrize("verb", sorted(set(VERBS) - {"train"}))
def test_every_key_and_every_choice_is_offered(verb: str) -> None:
    keys = keys_of(VERBS[verb].schema)
    offered = offers(f"asl {verb} ")
    assert {f"--{name.replace('_', '-')}" for name in keys} <= set(offered)
    for name, key in keys.items():
        if name in VERBS[verb].positional:  # a path, which the shell completes
            assert not offers(f"asl {verb} {name[:3]}")
            continue
        assert f"{name}=" in offered
        values = key.choices or offered_values(verb, name)
        assert offers(f"asl {verb} {name}=") == [f"{name}={value}" for value in values]


def test_names_that_are_offered_are_accepted(tmp_path: Path) -> None:
    from asl.app.reviewing.keep_rules import RuleName
    from asl.data.layouts import open_benchmark
    from asl.data.training_set import Content
    from asl.data.training_sources import ROLES
    from asl.edits.recipes import load_recipe
    from asl.models.opening import open_model
    from asl.training.loggers import LOGGERS

    with pytest.raises(UsageError, match="expected") as refused:
        open_benchmark(tmp_path, layout="nothing")
    assert str(refused.value).startswith(f"layout: expected {', '.join(LAYOUTS)} or auto")
    assert offered_values("evaluate", "layout") == ("auto", *LAYOUTS)
    assert offered_values("train", "data.hard_pairs_as") == ROLES
    assert set(offered_values("train", "data.content")) == set(get_args(Content))
    assert offered_values("train", "trainer.logger") == tuple(LOGGERS)
    assert offered_values("review", "rule") == get_args(RuleName)
    for recipe in offered_values("edit", "edits")[:-2]:
        load_recipe(recipe)
    for model in offered_values("scan", "model"):
        open_model(model)


def test_every_preset_is_offered() -> None:
    for path in config_dir().glob("*/*.yaml"):
        assert f"{path.parent.name}={path.stem}" in offers(f"asl train {path.parent.name}=")


def test_a_finished_word_is_not_offered_again() -> None:
    assert offers("asl extract") == []
    assert offers("asl scan --quiet") == []


def test_words_are_printed_for_the_shell(capsys: pytest.CaptureFixture[str]) -> None:
    assert complete(["words", "asl ex"]) == 0
    assert capsys.readouterr().out.split() == ["explain", "extract", "export"]
    assert complete([]) == 2
    assert complete(["words"]) == 2
    printed = capsys.readouterr().err.splitlines()
    assert printed[0] == "error: asl completion: expected one of bash, zsh, fish, got nothing"
    assert len(printed) == 2


@pytest.mark.parametrize("word", ["-h", "--help"])
def test_help_says_where_the_lines_go(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert complete([word]) == 0
    printed = capsys.readouterr()
    assert "asl completion bash >> ~/.bashrc" in printed.out
    assert printed.err == ""


def test_offers_load_nothing_heavy() -> None:
    code = (
        "import sys; from asl.console.completion import offers; "
        "assert offers('asl train ') and offers('asl scan '); "
        "print(sorted({'torch', 'cyclopts', 'hydra', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
