"""Keys of a schema: groups, kinds, defaults, explanations."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from asl.console.schema_groups import groups_of, keys_of
from asl.console.schemas.export_config import ExportConfig
from asl.errors import UsageError


@dataclass(kw_only=True)
class Base:
    """Shared keys.

    Attributes:
        seed: seed of
            everything.
    """

    seed: int = 0


@dataclass(kw_only=True)
class Own(Base):
    """Own keys (of this verb).

    Attributes:
        images: folder.
        kind: of the file.
        sizes: several.
        quiet: print nothing.
        cache: file.
    """

    images: str
    kind: Literal["a", "b"] | None = None
    sizes: list[int] = field(default_factory=lambda: [1])
    quiet: bool = False
    cache: Path | None = None
    bare: float = 0.5


def test_groups_are_the_classes_with_their_first_line() -> None:
    groups = [(title, [key.name for key in keys]) for title, keys in groups_of(Own)]
    assert groups == [
        ("Own keys (of this verb)", ["images", "kind", "sizes", "quiet", "cache", "bare"]),
        ("Shared keys", ["seed"]),
    ]


def test_a_key_knows_its_kind() -> None:
    keys = keys_of(Own)
    assert keys["images"].default is MISSING
    assert keys["images"].is_text
    assert not keys["images"].optional
    assert keys["kind"].choices == ("a", "b", "null")
    assert keys["kind"].optional
    assert (keys["sizes"].is_list, keys["sizes"].default) == (True, [1])
    assert (keys["quiet"].is_flag, keys["quiet"].choices) == (True, ("true", "false"))
    assert not keys["cache"].is_text, "paths are no text for Hydra"
    assert keys["cache"].members == (Path, type(None))
    assert keys["bare"].choices == ()


def test_explanations_are_joined_lines_and_empty_where_there_are_none() -> None:
    keys = keys_of(Own)
    assert keys["seed"].explanation == "seed of everything."
    assert keys["quiet"].explanation == "print nothing."
    assert keys["bare"].explanation == ""


def test_a_choice_is_checked_from_python_too() -> None:
    assert ExportConfig(output="x.onnx").format is None
    with pytest.raises(UsageError, match=r"^format: expected one of onnx, .*null, got 'pdf'"):
        ExportConfig(output="x", format="pdf")  # type: ignore[arg-type]
