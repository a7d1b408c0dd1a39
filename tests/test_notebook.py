"""The notebook of the docs runs, and its outputs are those of today."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from asl.models.shipped import SHIPPED, shipped_model
from asl.types import UsageError

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "docs" / "notebook" / "copies.ipynb"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("run_notebook")


def words(outputs: list[dict[str, Any]]) -> list[str]:
    """What a cell prints and returns, without numbers and the formats that are read here."""
    texts = [output.get("text") or output["data"]["text/plain"] for output in outputs]
    return [
        re.sub(r"\d+", "#", re.sub(r"(allowed format) \(.*?\)", r"\1", "".join(text)))
        for text in texts
    ]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # a notebook leaves its pictures open
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_notebook_runs_and_is_current(script: ModuleType) -> None:
    try:
        shipped_model()
    except UsageError:
        pytest.skip(f"this checkout has no {SHIPPED}, the model that the notebook uses")
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    with script.workplace(NOTEBOOK) as folder:
        outputs = script.run_cells(notebook, folder)
    stored = [cell["outputs"] for cell in script.code_cells(notebook)]
    assert [words(cell) for cell in outputs] == [words(cell) for cell in stored], (
        "run scripts/run_notebook.py docs/notebook/copies.ipynb"
    )
    pages = [
        "".join(output["data"]["text/html"])
        for cell in outputs
        for output in cell
        if "text/html" in output.get("data", {})
    ]
    assert [page.count("data:image/jpeg;base64,") for page in pages] == [6, 2]


def test_the_notebook_is_small_and_names_no_place_of_a_machine(script: ModuleType) -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert len(text) < 300_000
    notebook = json.loads(text)
    for cell in script.code_cells(notebook):
        assert cell["outputs"] or "=" in "".join(cell["source"])
        assert not re.search(r"/(tmp|home|root|Users)/", str(words(cell["outputs"])))


def test_outputs_are_those_that_jupyter_shows(script: ModuleType, tmp_path: Path) -> None:
    class Shown:
        def __repr__(self) -> str:
            return "plain"

        def _repr_html_(self) -> str:
            return "<b>rich</b>"

    cells = [
        {"cell_type": "code", "source": ["print('a')\n", "x = 1"]},
        {"cell_type": "markdown", "source": ["text"]},
        {"cell_type": "code", "source": ["x + 1"]},
        {"cell_type": "code", "source": ["print(1)\n", "None"]},
    ]
    shown = script.run_cells({"cells": cells}, tmp_path)
    assert [[output["output_type"] for output in cell] for cell in shown] == [
        ["stream"],
        ["execute_result"],
        ["stream"],
    ]
    assert words(shown[1]) == ["#"]
    rich = script._run("value", {"value": Shown()}, 1)
    assert rich[0]["data"] == {"text/plain": ["plain"], "text/html": ["<b>rich</b>"]}
    assert script.main(["nowhere.txt"]) == 2
