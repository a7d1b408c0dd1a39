from __future__ import annotations

from pathlib import Path

import pytest

from asl.console.exit_codes import report
from asl.console.progress import progress_bar
from asl.console.terminal_text import terminal_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain ü 写真 [red] {0}.jpg", "plain ü 写真 [red] {0}.jpg"),
        ("\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"),
        ("gnp.\u202egpj", "gnp.\\u202egpj"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x9b31m", "\\x9b31m"),
    ],
)
def test_control_characters_are_shown_and_not_obeyed(text: str, expected: str) -> None:
    assert terminal_text(text) == expected


def test_an_error_keeps_its_lines_and_no_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(f"{Path('a' + chr(27) + '[1m')}: damaged\ndelete it", 1) == 1
    assert capsys.readouterr().err == "error: a\\x1b[1m: damaged\ndelete it\n"


@pytest.mark.parametrize("label", ["[", "[/red]", "{0}", "100 %", "a\x1b[2J"])
def test_the_label_of_a_bar_is_no_markup(label: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder may be called [ and end a rich table, or {0} and end a format."""
    with progress_bar(label, unit="images") as progress:
        progress(1, 2)
    printed = capsys.readouterr().err
    assert terminal_text(label) in printed
