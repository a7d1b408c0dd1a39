"""Names are printed as they are, wherever a line is printed."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import asl
from asl.console.plain_console import PlainConsole

ASL = Path(asl.__file__).parent


@pytest.mark.parametrize(
    "name", ["photo [final].jpg", "a[/b].jpg", "[red]", ":cat:.jpg", "x" * 200]
)
def test_a_name_is_no_markup_and_is_not_broken(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    PlainConsole().say(f"saved {name}")
    PlainConsole(stderr=True).warn(f"left out: {name}")
    printed = capsys.readouterr()
    assert printed.out == f"saved {name}\n"
    assert printed.err == f"left out: {name}\n"


def test_a_name_drives_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    PlainConsole().say("a\x1b[2J.jpg")
    assert capsys.readouterr().out == "a\\x1b[2J.jpg\n"


def test_a_quiet_one_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    PlainConsole(quiet=True).say("saved")
    PlainConsole(quiet=True).warn("left out")
    assert capsys.readouterr() == ("", "")


def test_no_line_is_printed_as_markup() -> None:
    """``Console.print`` reads brackets in a name as markup, and may end in a traceback."""
    found = [
        f"{path.relative_to(ASL)}:{call.lineno}"
        for path in ASL.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "print"
        and any(isinstance(argument, ast.JoinedStr | ast.Constant) for argument in call.args)
    ]
    assert not found
