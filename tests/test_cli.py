from __future__ import annotations

import shutil
import subprocess
import sys
from typing import get_args

import pytest

from asl.cli import main
from asl.console.completion import SHELLS
from asl.console.schemas.shared_keys import Regions
from asl.console.verbs import VERBS
from asl.features.regions import REGIONS


@pytest.mark.parametrize("verb", VERBS)
def test_help_teaches_and_loads_nothing_heavy(verb: str) -> None:
    code = (
        "import sys, asl.cli\n"
        f"asl.cli._run(['{verb}', '--help'])\n"
        "heavy = {'torch', 'fastapi', 'cv2', 'numpy', 'hydra', 'omegaconf'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(f"  asl {verb}") >= 3, "examples"
    assert done.stdout.count("Exit code") == 1
    assert "Traceback" not in done.stderr


def complete(line: str) -> list[str]:
    """What bash offers at the end of a line."""
    script = (
        f'asl() {{ "{sys.executable}" -m asl "$@"; }}\n{SHELLS["bash"]}\n'
        f'COMP_LINE="{line}"; COMP_POINT={len(line)}; _asl; echo "${{COMPREPLY[@]}}"'
    )
    command = ["bash", "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash on this machine")
def test_bash_completes_verbs_keys_and_values() -> None:
    assert complete("asl s") == ["scan", "serve", "search"]
    assert complete("asl scan --ag") == ["--against"]
    assert "--token-file" in complete("asl serve --")
    assert complete("asl completion f") == ["fish"]
    assert complete("asl extract im") == ["images="]
    assert complete("asl search output=x regions=c") == ["coarse"]
    assert complete("asl train experiment=l") == ["lyakaap"]


@pytest.mark.parametrize("verb", ["scan", "serve"])
def test_a_misspelt_option_is_told_its_neighbour(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([verb, *(["photos"] if verb == "scan" else []), "--precison", "0.9"])
    assert stopped.value.code == 2
    printed = capsys.readouterr().err
    assert printed == "error: unknown key '--precison'; did you mean --precision?\n"


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


def test_an_unknown_verb_is_told_its_neighbour(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["serach"])
    assert stopped.value.code == 2
    assert "did you mean search?" in capsys.readouterr().err


def test_the_verbs_are_listed_with_what_they_do(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    printed = capsys.readouterr().out
    assert all(f"asl {verb} " in printed for verb in VERBS)
    assert max(map(len, printed.splitlines())) <= 100


def test_the_commands_know_every_set_of_regions() -> None:
    assert get_args(Regions) == tuple(REGIONS)
