"""The walls of the house: who may import whom, how long things may be, what an import may load."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "asl"
MODULES = sorted(PACKAGE.rglob("*.py"))

CORE = {"types"}
ALLOWED: dict[str, set[str]] = {
    "types": set(),
    "metrics": CORE,
    "scoring": CORE,
    "index": CORE | {"scoring"},
    "matching": CORE | {"scoring", "index"},
    "config": CORE,
    "edits": CORE | {"config"},
    "models": CORE | {"config"},
    "losses": CORE,
    "data": CORE | {"edits", "config"},
    "features": CORE | {"data", "models"},
    "report": CORE | {"metrics", "scoring", "data"},
    "training": CORE
    | {"data", "edits", "models", "losses", "features", "index", "scoring", "metrics", "report", "config"},
}
# Rooms that stay usable without torch, Lightning or Hydra; an engine's own library is loaded on use in its own file.
LIGHT = {"types", "metrics", "scoring", "index", "matching", "report"}
HEAVY = {"torch", "torchvision", "timm", "lightning", "hydra", "omegaconf", "faiss", "pymilvus", "albumentations"}
ENGINE_FILES = {"faiss.py": {"faiss", "torch"}, "tensorcore.py": {"torch"}, "milvus.py": {"pymilvus"}}
LIGHTNING_FILES = {"data/datamodule.py"}


def room_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module == "asl":
                yield from (f"asl.{alias.name}" for alias in node.names if not alias.name.startswith("__"))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_follow_the_plan(path: Path) -> None:
    room, name = room_of(path), str(path.relative_to(PACKAGE))
    found = set(imports(ast.parse(path.read_text())))
    own = {module.split(".")[1] for module in found if module.startswith("asl.")} - {room}
    if room in ALLOWED:
        assert own <= ALLOWED[room], f"{name} imports {sorted(own - ALLOWED[room])}"
    else:
        shared = {"types", "config", "entry", "pipeline", "sides", "candidates", "search_keys", "app"}
        entries = {p.stem for p in PACKAGE.glob("*.py")} - shared
        # The command dispatches to the other entry points; nothing else may import one.
        assert room in ("cli", "__main__") or not own & entries, (
            f"{name} imports the entry points {sorted(own & entries)}"
        )
    libraries = {module.split(".")[0] for module in found}
    if room in LIGHT:
        allowed = ENGINE_FILES.get(path.name, set()) if room == "index" else set()
        assert not (libraries & HEAVY) - allowed, f"{name} imports {sorted((libraries & HEAVY) - allowed)}"
    if room != "training" and name not in LIGHTNING_FILES and room in ALLOWED:
        assert "lightning" not in libraries, f"{name} knows Lightning"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_and_functions_stay_short(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 300, f"{path.name} is longer than 300 lines: is there a second concept in it?"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            assert length <= 40, f"{path.name}: {node.name} has {length} lines"


def test_no_utils() -> None:
    assert not [p for p in MODULES if p.stem in {"utils", "helpers", "common", "misc", "manager"}]


@pytest.mark.parametrize("module", ["asl.metrics.evaluate", "asl.scoring.score", "asl.index.search", "asl.matching"])
def test_light_rooms_load_no_heavy_library(module: str) -> None:
    code = (
        f"import sys, {module}; bad = sorted({{m.split('.')[0] for m in sys.modules}} & {HEAVY!r}); "
        "print(bad); sys.exit(bool(bad))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"import {module} loads {done.stdout}{done.stderr}"
