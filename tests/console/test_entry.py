"""The contract of every command: exit codes, help, wrong keys, configuration found anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from asl.cli import compose
from asl.console.entry import EntryPoint, current_command
from asl.errors import AslError, UsageError


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, env={**os.environ}
    )


def test_a_missing_value_is_wrong_use(tmp_path: Path) -> None:
    done = run("asl.extract", "model=lite0", cwd=tmp_path)
    assert done.returncode == 2
    assert "images" in done.stderr


def test_run_gets_the_configuration_and_gives_the_exit_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    seen: list[object] = []

    def run(config: object) -> int:
        seen.append((config, current_command()))
        return 3

    main = EntryPoint("export", run)
    words = ["model=lite0", "output=new folder/x.onnx"]
    assert main.start(words) == 3
    assert seen == [(compose("export", words), "asl export model=lite0 'output=new folder/x.onnx'")]
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 3


def test_check_refuses_before_run(capsys: pytest.CaptureFixture[str]) -> None:
    def check(config: object) -> None:
        raise UsageError("output: no")

    def run(config: object) -> int:
        raise AssertionError("it ran")

    main = EntryPoint("export", run, check)
    assert main.start(["output=x.onnx"]) == 2
    assert capsys.readouterr().err == "error: output: no\n"
    with pytest.raises(AslError):
        main.compose(["output=x.onnx"])
