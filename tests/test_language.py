"""Plain English: docstrings say what to do, and a list of turns of phrase stays out of the project.

The list holds sentences that readers stumbled over. It is searched in docstrings, comments,
messages and pages; add to it whatever you would not want to read a second time.
"""

from __future__ import annotations

import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted((ROOT / "asl").rglob("*.py"))
PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")),
        ROOT / "data" / "README.md",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "conf").rglob("*.yaml"),
    ]
)
TEXTS = MODULES + PAGES

# A docstring that asks a question instead of naming what the code does.
RIDDLE = re.compile(r"^(What|Which|How|Whether|Where|Who|Whose|Why)\b")

BANNED = (
    r"so many",
    r"as often as not",
    r"gone on with",
    r"goes on where",
    r"(?:is|are|was|were) told",
    r"for ever\b",
    r"(?:stand|stands) (?:twice|more than once)",
    r"made anew",
    r"looks? at the pixels",
    r"the pixels say",
    r"says what is near",
    r"what is near",
    r"its neighbour\b",
    r"lies? in Milvus",
    r"has to say",
    r"who (?:may|holds)",
    r"two skies",
    r"for who\b",
    r"of which (?:a process|there)",
    r"is none\b[.;]",
    r"would rather look",
    r"stands? on top",
    r"misspelt",
)
BANNED_TURNS = re.compile("|".join(f"(?:{turn})" for turn in BANNED), re.IGNORECASE)


def docstrings(path: Path) -> list[tuple[int, str]]:
    """(line, text) of every docstring of a module."""
    texts = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                texts.append((getattr(node, "lineno", 1), text))
    return texts


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings_say_what_to_do(path: Path) -> None:
    riddles = [
        f"{path.name}:{line}: {text.splitlines()[0]}"
        for line, text in docstrings(path)
        if RIDDLE.match(text)
    ]
    assert not riddles, "\n".join(riddles)


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_banned_turn(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    seen = [
        f"{path.name}:{number}: {line.strip()}"
        for number, line in enumerate(lines, 1)
        if BANNED_TURNS.search(line)
    ]
    assert not seen, "\n".join(seen)


def test_a_banned_turn_is_seen() -> None:
    assert BANNED_TURNS.search("A scan waited for it for ever.")
    assert RIDDLE.match("What an engine has to do")
    assert not BANNED_TURNS.search("Unknown keys fail with a suggestion.")


# Things that messages count; after a number that can be 1 they come from `asl.counts.counted`.
COUNTED = re.compile(
    r"^ (?:[a-z-]+ )?(?:answers|copies|decisions|files|groups|images|links|lists|pairs"
    r"|photographs|pictures|queries|references|regions|rows)\b"
)


def uncounted(tree: ast.AST) -> list[tuple[int, str]]:
    """(line, text) of f-strings with a length before a noun in the plural."""
    return [
        (text.lineno, f"{{{ast.unparse(number.value)}}}{text.value}")
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for number, text in pairwise(node.values)
        if isinstance(number, ast.FormattedValue) and isinstance(text, ast.Constant)
        if COUNTED.match(str(text.value)) and ast.unparse(number.value).startswith("len(")
    ]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_one_is_no_plural(path: Path) -> None:
    lines = dict(uncounted(ast.parse(path.read_text(encoding="utf-8"))))
    assert not lines, "take asl.counts.counted"


def test_an_uncounted_plural_is_seen() -> None:
    assert uncounted(ast.parse('f"{len(pairs)} more pairs of two"'))
    assert not uncounted(ast.parse("f'{MOST} pairs'; f'{counted(len(pairs), noun)} of files'"))
