from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from asl.cli import SHELLS, VERBS, completion, main


@pytest.mark.parametrize("verb", ["scan", "serve"])
def test_help_teaches_and_loads_nothing_heavy(verb: str) -> None:
    code = (
        "import sys, asl.cli\n"
        f"try: asl.cli.main(['{verb}', '--help'])\n"
        "except SystemExit as stopped: assert not stopped.code\n"
        "heavy = {'torch', 'fastapi', 'cv2'} & set(sys.modules); assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(f"  asl {verb}") >= 3, "examples"
    assert "Exit code" in done.stdout


def complete(line: str) -> list[str]:
    """What bash offers at the end of a line."""
    words = line.split(" ")
    listed = " ".join(f"'{word}'" for word in words)
    script = f'{completion("bash")}\nCOMP_WORDS=({listed}); COMP_CWORD={len(words) - 1}; _asl; echo "${{COMPREPLY[@]}}"'
    return subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash on this machine")
def test_bash_completes_verbs_and_options() -> None:
    assert complete("asl s") == ["search", "scan", "serve"]
    assert complete("asl scan --ag") == ["--against"]
    assert "--token-file" in complete("asl serve --")
    assert complete("asl completion f") == ["fish"]
    assert complete("asl extract im") == ["images="]
    assert complete("asl edit vi") == ["views="]


@pytest.mark.parametrize("verb", ["scan", "serve"])
def test_a_misspelt_option_is_told_its_neighbour(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([verb, *(["photos"] if verb == "scan" else []), "--precison", "0.9"])
    assert stopped.value.code == 2
    assert capsys.readouterr().err == "error: there is no --precison; did you mean --precision?\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_gets_every_verb(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["completion", shell])
    printed = capsys.readouterr().out
    assert all(verb in printed for verb in VERBS)
    assert "--exit-code" in printed
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


def test_the_commands_know_every_set_of_regions() -> None:
    from asl.features.regions import REGIONS
    from asl.types import REGION_SETS

    assert tuple(REGIONS) == REGION_SETS
