"""Text of a command line as it was typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from asl.console.typed_text import as_typed, split_list


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", ["a"]),
        ("a,b", ["a", "b"]),
        ("[a,b]", ["a", "b"]),
        ("[ a , b ]", ["a", "b"]),
        ('["a,b",c]', ["a,b", "c"]),
        ("[]", []),
        ("", []),
        ("[a", ["[a"]),
        ("a]", ["a]"]),
        ("[a,]", ["a", ""]),
        ("[a b,写真]", ["a b", "写真"]),
    ],
)
def test_a_list_is_split_at_its_own_commas(text: str, expected: list[str]) -> None:
    assert split_list(text) == expected


def test_text_is_kept_but_for_quotes_and_a_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for text in ("2024_11_29", "", "'", "it's", "a~b", "  x ", "1e3", "\"a'"):
        assert as_typed(text) == text
    assert as_typed("'a b'") == as_typed('"a b"') == "a b"
    assert as_typed("''") == ""
    assert as_typed("~") == str(tmp_path)
    assert as_typed("~/x/y.csv") == str(tmp_path / "x" / "y.csv")
    assert as_typed("'~/x'") == "~/x", "a quoted tilde is a tilde"
