"""The table of verbs agrees with the modules."""

from __future__ import annotations

from dataclasses import is_dataclass
from importlib import import_module
from pathlib import Path

import pytest

import asl
from asl.console.schema_groups import keys_of
from asl.console.verbs import VERBS, Verb


@pytest.mark.parametrize("verb", VERBS.values(), ids=lambda verb: verb.name)
def test_a_verb_has_a_module_a_schema_and_help(verb: Verb) -> None:
    module = import_module(f"asl.{verb.name}")
    assert callable(module.run)
    assert callable(module.main)
    assert is_dataclass(verb.schema)
    assert set(verb.positional) <= set(keys_of(verb.schema))
    first = verb.help.splitlines()[0]
    assert first.endswith(".")
    assert "\nExamples:\n" in verb.help


def test_every_module_with_a_main_is_a_verb() -> None:
    package = Path(asl.__file__).parent
    found = {
        path.stem
        for path in package.glob("*.py")
        if 'main = EntryPoint("' in path.read_text(encoding="utf-8")
    }
    assert found == set(VERBS)
    for name in found:
        assert import_module(f"asl.{name}").main.name == name
