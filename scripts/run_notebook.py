"""Run the cells of a notebook of the docs in this process, and write their outputs into it.

  python scripts/run_notebook.py docs/notebook/copies.ipynb

The notebook runs in a copy of its folder. The last expression of a cell is shown as by Jupyter.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from asl.storage import atomic_text

Outputs = list[dict[str, Any]]


def run_cells(notebook: dict[str, Any], folder: Path) -> list[Outputs]:
    """Run the code cells of a notebook in a folder, in order; return the outputs of each."""
    names: dict[str, Any] = {"__name__": "__main__"}
    with contextlib.chdir(folder):
        return [
            _run("".join(cell["source"]), names, number)
            for number, cell in enumerate(code_cells(notebook), start=1)
        ]


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the code cells."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


@contextlib.contextmanager
def workplace(notebook: Path) -> Iterator[Path]:
    """Copy the folder of a notebook; the copy is deleted afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(notebook.parent, folder, dirs_exist_ok=True)
        yield Path(folder)


def _run(source: str, names: dict[str, Any], number: int) -> Outputs:
    tree = ast.parse(source)
    last = tree.body[-1]
    shown = ast.Expression(tree.body.pop().value) if isinstance(last, ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, f"cell {number}", "exec"), names)
        value = eval(compile(shown, f"cell {number}", "eval"), names) if shown else None
    outputs: Outputs = []
    if printed.getvalue():
        lines = printed.getvalue().splitlines(keepends=True)
        outputs.append({"name": "stdout", "output_type": "stream", "text": lines})
    if value is not None:
        data = {"text/plain": repr(value).splitlines(keepends=True)}
        if hasattr(value, "_repr_html_"):
            data["text/html"] = value._repr_html_().splitlines(keepends=True)
        result = {"data": data, "execution_count": number, "metadata": {}}
        outputs.append({**result, "output_type": "execute_result"})
    return outputs


def main(arguments: list[str]) -> int:
    """Run one notebook and write it."""
    if len(arguments) != 1 or not arguments[0].endswith(".ipynb"):
        print(f"error: give one notebook\n\n{__doc__}", file=sys.stderr)
        return 2
    path = Path(arguments[0])
    notebook = json.loads(path.read_text(encoding="utf-8"))
    with workplace(path) as folder:
        outputs = run_cells(notebook, folder)
    for number, (cell, shown) in enumerate(
        zip(code_cells(notebook), outputs, strict=True), start=1
    ):
        cell.update(execution_count=number, outputs=shown)
    with atomic_text(path) as file:
        json.dump(notebook, file, indent=1, ensure_ascii=False)
        file.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
