"""Plain values of a configuration against the hints of the arguments that they are for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from asl.console.value_types import expected_type


def test_values_are_compared_with_hints() -> None:
    def call(
        a: int, b: float | None = None, c: tuple[float, float] = (0.0, 1.0), d: object = None
    ) -> None: ...

    assert expected_type(call, "a", True) == "a whole number"
    assert expected_type(call, "b", "x") == "a number or null"
    assert expected_type(call, "c", 3) == "a list"
    for name, value in (("a", 3), ("b", None), ("b", 2), ("c", [1, 2]), ("d", "x"), ("e", 1)):
        assert expected_type(call, name, value) is None


class Scale:
    def __init__(
        self,
        factor: float,
        *,
        mode: Literal["a", "b"] = "a",
        path: Path | None = None,
        sizes: Sequence[int] = (),
        table: dict[str, float] | None = None,
        weight: float | torch.Tensor = 1.0,
        anything: Any = None,
        unhinted=None,  # type: ignore[no-untyped-def]
    ) -> None: ...


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("factor", "x", "a number"),
        ("factor", True, "a number"),
        ("factor", None, "a number"),
        ("mode", "c", "one of a, b"),
        ("mode", 1, "one of a, b"),
        ("path", 3, "Path or null"),
        ("sizes", 3, "a list"),
        ("sizes", "12", "a list"),
        ("table", [1], "a mapping or null"),
        ("weight", "x", "a number or Tensor"),
    ],
)
def test_a_value_of_another_type_is_described(name: str, value: object, expected: str) -> None:
    assert expected_type(Scale, name, value) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("factor", 1),
        ("mode", "b"),
        ("path", None),
        ("sizes", [1, 2]),
        ("table", {"a": 1.0}),
        ("weight", 2),
        ("anything", object()),
        ("unhinted", "x"),
        ("no_such_argument", "x"),
        ("factor", {"_target_": "asl.edits.Maybe"}),
    ],
)
def test_a_value_that_fits_or_cannot_be_checked_passes(name: str, value: object) -> None:
    assert expected_type(Scale, name, value) is None


def test_a_hint_that_nothing_defines_is_not_checked() -> None:
    def call(size: "Missing") -> None: ...  # type: ignore[name-defined]  # noqa: F821, UP037

    assert expected_type(call, "size", "x") is None
