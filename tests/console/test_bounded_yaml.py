"""YAML that stands for more than it says is refused in a moment."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from asl.console.bounded_yaml import MAX_BYTES, check_yaml
from asl.console.configuration import config_dir
from asl.edits.recipes import load_recipe
from asl.types import UsageError


def bomb(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    for level in range(1, levels):
        inner = ", ".join([f"*a{level - 1}"] * 9)
        lines.append(f"a{level}: &a{level} [{inner}]")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (bomb(9), "aliases stand for more than"),
        ("a: &a {b: *a}", "aliases stand for more than"),
        ("a: &a [*a, *a]", "aliases stand for more than"),
        ("[" * 5000, "levels deep"),
        ("{a: " * 5000, "levels deep"),
        ("- " * 5000 + "x", "levels deep"),
        ("x" * (MAX_BYTES + 1), "at most"),
        ("a: [", "is not readable YAML"),
        ("a: *b", "is not readable YAML"),
        ("a: \x00", "is not readable YAML"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_bomb_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    start = time.perf_counter()
    with pytest.raises(UsageError, match=message):
        check_yaml(path)
    with pytest.raises(UsageError, match=message):
        load_recipe(path)
    assert time.perf_counter() - start < 10


def test_every_file_of_ours_is_within_the_budget() -> None:
    for path in config_dir().rglob("*.yaml"):
        check_yaml(path)
