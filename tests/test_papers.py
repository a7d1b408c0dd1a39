"""Experiments against docs/recipes.md: the papers' values, those here, and why they differ."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from asl.cli import compose
from asl.console.configuration import config_dir, flatten_values
from asl.models.recipe import Recipe

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
EXPERIMENTS = sorted(path.stem for path in (config_dir() / "experiment").glob("*.yaml"))
# Experiment -> recipe of its edits.
EDITS = {
    "d2lv": "d2lv_basic",
    "bot": "bot",
    "asl": "d2lv_basic",
    "sscd": "sscd_advanced",
    "rdcd": "sscd_advanced",
    "lyakaap": "lyakaap_v83",
    "copynce": "copynce",
}
CODE = re.compile(r"`([^`]*)`")


class Row(NamedTuple):
    """One row of a table: its keys, the paper's cell, the cell of what is here, and the reason."""

    keys: tuple[str, ...]
    paper: str
    here: str
    reason: str


def section(title: str, level: str = "##") -> str:
    found = re.search(rf"^{level} {re.escape(title)}.*?$(.*?)(?=^{level} |\Z)", PAGE, re.M | re.S)
    assert found, f"docs/recipes.md has no section {title}"
    return found[1]


def rows(text: str) -> list[Row]:
    """Rows of the tables of a section whose first cell is code."""
    found = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("| `"):
            keys = tuple(CODE.findall(cells[0]))
            found.append(Row(keys, *[*cells, "", ""][1:4]))
    return found


def own_rows(name: str, level: str = "##") -> dict[str, Row]:
    """Key -> row of an experiment or recipe, those of its base included."""
    text = section(f"`{name}`", level)
    base = re.search(r"^Base: `(\w+)`", text, re.M)
    found = own_rows(base[1], level) if base else {}
    return found | {key: row for row in rows(text) for key in row.keys}


def settings(name: str, *words: str) -> dict[str, Any]:
    given = ["data=ndec", "data.root=NDEC", f"experiment={name}", *words]
    tree: dict[str, Any] = asdict(compose("train", given))
    return tree


def without_edits(name: str, *words: str) -> dict[str, Any]:
    tree = settings(name, *words)
    tree.pop("edits")
    return flatten_values(tree)


def equal(value: Any, expected: Any) -> bool:
    if isinstance(expected, float) and isinstance(value, float):
        return value == pytest.approx(expected, rel=1e-9)
    return bool(value == expected)


COMMON = {key for row in rows(section("Keys that no paper gives")) for key in row.keys}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_composed_key_is_on_the_page(name: str) -> None:
    composed = without_edits(name)
    on_page = own_rows(name).keys() | COMMON
    assert not composed.keys() - on_page, "keys without a row"
    assert not own_rows(name).keys() & COMMON, "keys with two rows"


@pytest.mark.parametrize("trainer", ["default", "gpu"])
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_value_is_that_of_the_page(name: str, trainer: str) -> None:
    """A preset of hardware changes no key of a recipe."""
    composed = without_edits(name, f"trainer={trainer}")
    for key, row in own_rows(name).items():
        cells = CODE.findall(row.here)
        assert len(cells) == len(row.keys), row
        expected = yaml.safe_load(cells[row.keys.index(key)])
        assert key in composed or key.startswith("model."), f"{key} is no key of {name}"
        value = composed.get(key, getattr(Recipe("x"), key.removeprefix("model."), None))
        assert equal(value, expected), f"{name}: {key} is {value}, docs/recipes.md has {expected}"


def every_row() -> Iterator[tuple[str, Row]]:
    for name in EXPERIMENTS:
        yield from ((name, row) for row in rows(section(f"`{name}`")))
    for recipe in set(EDITS.values()):
        yield from ((recipe, row) for row in rows(section(f"`{recipe}`", "###")))


def test_what_is_not_the_papers_value_has_a_reason() -> None:
    seen = list(every_row())
    assert len(seen) > 200
    silent = [(name, row.keys) for name, row in seen if row.paper != row.here and not row.reason]
    assert not silent
    assert all(row.paper for _, row in seen)


def plain(node: Any) -> Any:
    """A recipe without the names of its classes."""
    if isinstance(node, dict):
        return {key: plain(value) for key, value in node.items() if not key.startswith("_")}
    return [plain(value) for value in node] if isinstance(node, list) else node


def steps(node: dict[str, Any]) -> dict[str, Any]:
    """Step -> its parameters; the members of a shuffled list as steps of their own."""
    found: dict[str, Any] = {}
    for name, step in plain(node)["edits"].items():
        if name == "shuffled":
            found |= {f"shuffled.{inner}": value for inner, value in step["edits"].items()}
        else:
            found[name] = step
    return found


@pytest.mark.parametrize("name", sorted(EDITS))
def test_every_edit_is_on_the_page(name: str) -> None:
    expected = own_rows(EDITS[name], "###")
    found = steps(settings(name)["edits"])
    assert found.keys() == expected.keys()
    for step, row in expected.items():
        (cell,) = CODE.findall(row.here)
        assert found[step] == yaml.safe_load(cell), f"{name}: {step} is {found[step]}"


def test_every_experiment_has_a_paper_or_is_ours() -> None:
    assert set(EDITS) == set(EXPERIMENTS) - {"ndec"}, "`ndec` is ours"
    titles = re.findall(r"^## `(\w+)`$", PAGE, re.M)
    assert sorted(titles) == EXPERIMENTS


def test_the_tests_that_the_page_names_exist() -> None:
    named = re.findall(r"`(tests/\S+\.py)`", PAGE)
    assert len(named) > 10
    assert not [path for path in named if not (ROOT / path).is_file()]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_preset_of_hardware_touches_hardware_alone(name: str) -> None:
    words = ["data=ndec", "data.root=NDEC", f"experiment={name}"]
    plain = vars(compose("train", words).trainer)
    gpu = vars(compose("train", [*words, "trainer=gpu"]).trainer)
    changed = {key for key in plain if plain[key] != gpu[key]}
    assert changed <= {
        "accelerator",
        "devices",
        "strategy",
        "precision",
        "sync_batchnorm",
        "compile",
    }
