"""Write docs/options.md, every key of every verb, from the schemas that ``asl VERB --help`` prints.

python scripts/write_options.py            write the page
python scripts/write_options.py --check    exit with 1 where the page is out of date
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, is_dataclass
from pathlib import Path
from typing import Any

from asl.console.configuration import config_dir
from asl.console.schema_groups import Key, groups_of
from asl.console.verbs import VERBS, Verb

PAGE = Path(__file__).resolve().parents[1] / "docs" / "options.md"
HEAD = """# Every option

Keys of every verb, with their defaults. Written by `scripts/write_options.py` from the text that
`asl VERB --help` prints.

`asl VERB` and `python -m asl.VERB` are the same command. Set a key as `key=value`, `--key value` or
`--key=value`; after `--`, write `_` as `_` or `-`. `null` stands for none; lists are written
`[a,b]`. Unknown keys fail with a suggestion.

`train` uses Hydra's grammar: `GROUP=NAME` chooses a preset, `GROUP.key=value` sets one key, and
`-m` sweeps over comma-separated values.
"""
_COMMENT = re.compile(r"# (?!@package)(.*)")
_SENTENCE = re.compile(r"(.*?\.)(?= [A-Z(]|$)")


def main() -> int:
    """Write the page, or compare it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing; 1 where it differs")
    options = parser.parse_args()
    text = page()
    if not options.check:
        PAGE.write_text(text, encoding="utf-8")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != text:
        print(f"{PAGE.name}: out of date; run python scripts/write_options.py", file=sys.stderr)
        return 1
    return 0


def page() -> str:
    """Return the whole page."""
    return "\n".join([HEAD, *(_verb(verb) for verb in VERBS.values())])


def _verb(verb: Verb) -> str:
    lines = [f"## asl {verb.name}", "", _escaped(verb.help.splitlines()[0])]
    groups: dict[str, list[tuple[str, Key]]] = {}
    for title, keys in _groups(verb.schema, ""):
        groups.setdefault(title, []).extend(keys)
    for title, keys in groups.items():
        lines += ["", _heading(verb, title), "", *_table("key", keys)]
    if verb.name == "train":
        for folder in sorted(path for path in config_dir().iterdir() if path.is_dir()):
            presets = [_preset(folder.name, path) for path in sorted(folder.glob("*.yaml"))]
            lines += ["", _heading(verb, f"Presets of {folder.name}"), "", "| preset | content |"]
            lines += ["|---|---|", *presets]
    return "\n".join(lines) + "\n"


def _heading(verb: Verb, title: str) -> str:
    """Return a heading whose anchor names the verb as well."""
    anchor = re.sub(r"\W+", "-", f"{verb.name} {title}".lower()).strip("-")
    return f"### {_escaped(title[:1].upper() + title[1:])} {{#{anchor}}}"


def _groups(schema: type[Any], prefix: str) -> Iterator[tuple[str, list[tuple[str, Key]]]]:
    """Yield titles and dotted keys; groups whose keys depend on the preset have no rows."""
    for title, keys in groups_of(schema):
        plain = [key for key in keys if not is_dataclass(key.hint)]
        rows = [
            (f"{prefix}{key.name}", key)
            for key in plain
            if key.hint != dict[str, Any] or key.name == "extra"
        ]
        yield title, rows
        for key in keys:
            if isinstance(key.hint, type) and is_dataclass(key.hint):
                yield from _groups(key.hint, f"{key.name}.")


def _table(head: str, keys: Sequence[tuple[str, Key]]) -> list[str]:
    rows = [f"| {head} | default | meaning |", "|---|---|---|"]
    return rows + [f"| `{name}` | {_default(key)} | {_meaning(key)} |" for name, key in keys]


def _default(key: Key) -> str:
    if key.default is MISSING:
        return "required"
    if key.default is None:
        return "`null`"
    shown = str(key.default).lower() if isinstance(key.default, bool) else str(key.default)
    return f"`{shown.replace(' ', '')}`" if shown else "empty"


def _meaning(key: Key) -> str:
    explanation = _escaped(key.explanation)
    named = [choice for choice in key.choices if not re.search(rf"\b{choice}\b", key.explanation)]
    if key.is_flag or not named:
        return explanation
    values = ", ".join(f"`{choice}`" for choice in key.choices)
    return f"{explanation} One of {values}."


def _preset(group: str, path: Path) -> str:
    """Return a row with the first sentence of the preset's comment."""
    comment: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        found = _COMMENT.fullmatch(line)
        if found:
            comment.append(found[1])
        elif comment:
            break
    text = " ".join(comment)
    first = _SENTENCE.match(text)
    return f"| `{group}={path.stem}` | {_escaped(first[1] if first else text)} |"


def _escaped(text: str) -> str:
    """Return text that Markdown shows as it is within a cell."""
    return re.sub(r"([|*<]|(?<!\w)_|_(?!\w))", r"\\\1", text)


if __name__ == "__main__":
    sys.exit(main())
