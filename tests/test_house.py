"""The walls of the house: imports between and inside rooms, sizes, names, what an import loads."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "asl"
MODULES = sorted(PACKAGE.rglob("*.py"))
FILE_LINES, BODY_LINES = 400, 50

BASE = {
    "counts",
    "errors",
    "notices",
    "shared_defaults",
    "types",
    "storage",
    "parallel",
    "version",
    "model_names",
}
ALLOWED: dict[str, set[str]] = {
    "counts": set(),
    "errors": set(),
    "notices": set(),
    "shared_defaults": set(),
    "model_names": {"shared_defaults"},
    "version": set(),
    "types": {"errors", "counts"},
    "storage": {"errors", "notices", "types"},
    "parallel": {"errors", "types"},
    "metrics": BASE,
    "scoring": BASE,
    "index": BASE | {"scoring"},
    "matching": BASE | {"scoring", "index"},
    "console": BASE,
    "edits": BASE | {"console"},
    "models": BASE | {"console", "scoring"},
    "losses": BASE,
    "data": BASE | {"edits", "console"},
    "features": BASE | {"data", "models"},
    "report": BASE | {"metrics", "scoring", "data"},
}
ALLOWED["training"] = set(ALLOWED) - {"matching"}
LIBRARY = set(ALLOWED) - {"training"}
ALLOWED["pipeline"] = LIBRARY
ALLOWED["app"] = LIBRARY
VERBS = {path.stem for path in PACKAGE.glob("*.py")} - BASE - {"__init__", "__main__", "cli"}
# Rooms that stay usable without torch, Lightning or Hydra. An engine's own library is loaded on
# use in that engine's file.
LIGHT = {
    "counts",
    "errors",
    "notices",
    "defaults",
    "types",
    "storage",
    "parallel",
    "metrics",
    "scoring",
    "index",
    "matching",
    "report",
}
HEAVY = {
    "torch",
    "torchvision",
    "timm",
    "lightning",
    "hydra",
    "omegaconf",
    "faiss",
    "pymilvus",
    "albumentations",
}
ENGINE_FILES = {
    "index/engines/cpu_bfloat16.py": {"torch"},
    "index/engines/faiss_flat.py": {"faiss", "torch"},
    "index/engines/half_products.py": {"torch"},
    "index/engines/norm_gain.py": {"torch"},
    "index/engines/tensorcore.py": {"torch"},
    "index/milvus/collection_facts.py": {"pymilvus"},
    "index/milvus/connection.py": {"pymilvus"},
}
LIGHTNING_FILES = {"data/datamodule.py"}
# One file name, one file; a verb may share its word with a room.
SHARED_NAMES = {"__init__"}


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def room_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else parts[0].removesuffix(".py")


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


KNOWN = {module_of(path) for path in MODULES}


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (
                f"{node.module}.{alias.name}"
                for alias in node.names
                if f"{node.module}.{alias.name}" in KNOWN
            )


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def by_name(path: Path) -> str:
    return name_of(path)


@pytest.mark.parametrize("path", MODULES, ids=by_name)
def test_imports_follow_the_plan(path: Path) -> None:
    room, name = room_of(path), name_of(path)
    found = set(imports(parsed(path)))
    own = {module.split(".")[1] for module in found if module.startswith("asl.")} - {room}
    if room in ALLOWED:
        assert own <= ALLOWED[room], f"{name} imports {sorted(own - ALLOWED[room])}"
    elif room in VERBS:
        assert not own & VERBS, f"{name} imports the verbs {sorted(own & VERBS)}"
    libraries = {module.split(".")[0] for module in found}
    if room in LIGHT:
        heavy = (libraries & HEAVY) - ENGINE_FILES.get(name, set())
        assert not heavy, f"{name} imports {sorted(heavy)}"
    if room in ALLOWED and room != "training" and name not in LIGHTNING_FILES:
        assert "lightning" not in libraries, f"{name} imports Lightning"


def top_level_imports(path: Path) -> set[str]:
    """Modules of the package that importing ``path`` imports, deferred imports included."""
    own = module_of(path)
    return {
        module for module in imports(parsed(path)) if module in KNOWN and module != own
    }  # an __init__ that re-exports counts as a module of its own


def circle(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """Find a path that ends where it began; empty where there is none."""
    done: set[str] = set()
    trail: list[str] = []

    def visit(node: str) -> list[str]:
        if node in trail:
            return [*trail[trail.index(node) :], node]
        if node in done:
            return []
        trail.append(node)
        for target in sorted(graph.get(node, ())):
            found = visit(target)
            if found:
                return found
        trail.pop()
        done.add(node)
        return []

    return next((found for node in sorted(graph) if (found := visit(node))), [])


def test_a_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}}) == []


def test_no_circle_between_modules() -> None:
    found = circle({module_of(path): top_level_imports(path) for path in MODULES})
    assert not found, " -> ".join(found)


def test_no_circle_between_rooms() -> None:
    rooms: dict[str, set[str]] = {}
    for path in MODULES:
        targets = {module.split(".")[1] for module in top_level_imports(path) if "." in module}
        rooms.setdefault(room_of(path), set()).update(targets - {room_of(path)})
    found = circle({room: targets for room, targets in rooms.items() if room != "__init__"})
    assert not found, " -> ".join(found)


def test_no_circle_between_rooms_inside_a_room() -> None:
    inner: dict[str, set[str]] = {}
    for path in MODULES:
        parts = module_of(path).split(".")
        if len(parts) < 4:
            continue
        home = ".".join(parts[:3])
        targets = {".".join(m.split(".")[:3]) for m in top_level_imports(path) if m.count(".") > 2}
        inner.setdefault(home, set()).update(t for t in targets if t != home)
    found = circle(inner)
    assert not found, " -> ".join(found)


@pytest.mark.parametrize("path", MODULES, ids=by_name)
def test_files_and_functions_stay_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    lines = len(text.splitlines())
    assert lines <= FILE_LINES, f"{path.name} has {lines} lines: is there a second concept in it?"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            assert length <= BODY_LINES, f"{path.name}: {node.name} has {length} lines"


@pytest.mark.parametrize("path", MODULES, ids=by_name)
def test_nothing_is_squeezed(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"#\s*fmt:\s*(skip|off)", text), f"{path.name} switches the formatter off"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
            names = [
                target for target in node.targets[0].elts if not isinstance(target, ast.Starred)
            ]
            values = isinstance(node.value, ast.Tuple) and len(names) > 2
            assert not values, f"{path.name}:{node.lineno} assigns to {len(names)} targets at once"
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            bundle = (
                ast.unparse(node.annotation) == "dict[str, Any]"
                and isinstance(node.value, ast.Dict)
                and re.search(rf"\*\*{node.target.id}\b", text)
            )
            assert not bundle, f"{path.name}:{node.lineno} bundles keyword arguments"


def test_one_file_name_once() -> None:
    names = Counter(path.stem for path in MODULES if path.stem not in SHARED_NAMES)
    twice = sorted(name for name, count in names.items() if count > 1)
    assert not twice, f"these names stand for two files: {twice}"


def test_no_utils() -> None:
    banned = {"utils", "helpers", "common", "misc", "manager"}
    assert not [path for path in MODULES if path.stem in banned]


@pytest.mark.parametrize(
    "module",
    ["asl.metrics.evaluation", "asl.scoring.score", "asl.index.exact.exact_search", "asl.matching"],
)
def test_light_rooms_load_no_heavy_library(module: str) -> None:
    code = (
        f"import sys, {module}; "
        f"bad = sorted({{m.split('.')[0] for m in sys.modules}} & {HEAVY!r}); "
        "print(bad); sys.exit(bool(bad))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"import {module} loads {done.stdout}{done.stderr}"
