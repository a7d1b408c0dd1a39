from __future__ import annotations

import subprocess
import sys

import pytest

from asl.cli import main
from asl.console.verbs import VERBS


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


@pytest.mark.parametrize("verb", ["scan", "serve"])
def test_a_misspelt_option_is_told_its_neighbour(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([verb, *(["photos"] if verb == "scan" else []), "--precison", "0.9"])
    assert stopped.value.code == 2
    printed = capsys.readouterr().err
    assert printed == "error: unknown key '--precison'; did you mean --precision?\n"


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
