from __future__ import annotations

import pytest

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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("caf\udce9.jpg: cannot be read", "caf\\xe9.jpg: cannot be read"),
        ("got " + repr("caf\udce9.jpg"), "got 'caf\\xe9.jpg'"),
        ("\ud83d", "\\ud83d"),
    ],
)
def test_a_byte_that_is_not_utf_8_is_shown_as_in_tables(text: str, expected: str) -> None:
    assert terminal_text(text) == expected
    assert expected.isascii()
