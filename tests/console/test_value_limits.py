"""Values that a type accepts and nothing can work with are refused at the door."""

from __future__ import annotations

import pytest

from asl.cli import compose
from asl.console.value_limits import check_text
from asl.errors import UsageError


@pytest.mark.parametrize(
    ("name", "text", "kinds"),
    [
        ("k", "1.5", {int}),
        ("k", "1e3", {int}),
        ("k", "1" + "0" * 30, {int}),
        ("lam", "nan", {float}),
        ("clip", "inf", {float, list}),
        ("device", "nonsense", {str}),
        ("device", "", {str}),
        ("workers", "-1", {int}),
        ("workers", "100000", {int}),
        ("seed", "\n1e-9", {int}),
        ("images", "a\ud800", {str}),
    ],
)
def test_refused(name: str, text: str, kinds: set[object]) -> None:
    with pytest.raises(UsageError, match=f"^{name}: ") as refused:
        check_text(name, text, kinds)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "text", "kinds"),
    [
        ("k", "10", {int}),
        ("seed", "-1", {int}),
        ("lam", "1e-3", {float}),
        ("device", "cuda:1", {str}),
        ("images", "nan", {str}),
        ("workers", "0", {int}),
        ("k", "many", {int}),  # refused with its type
    ],
)
def test_accepted(name: str, text: str, kinds: set[object]) -> None:
    check_text(name, text, kinds)


def test_the_command_line_asks() -> None:
    base = ["queries=a", "references=b", "output=c.csv"]
    with pytest.raises(UsageError, match=r"^k: expected a whole number, got 1\.5"):
        compose("search", [*base, "k=1.5"])
    with pytest.raises(UsageError, match=r"^device: expected auto"):
        compose("search", [*base, "--device", "tpu"])
    assert compose("search", [*base, "--workers", "2"]).workers == 2
