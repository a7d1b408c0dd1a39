"""Help of a verb: explanation, examples, one line a key in groups, presets; without torch."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import MISSING, is_dataclass
from pathlib import Path
from typing import Any

from asl.console.configuration import config_dir
from asl.console.exit_codes import EXIT_CODES
from asl.console.schema_groups import Key, groups_of
from asl.console.verbs import Verb

_SUMMARY = re.compile(r"#\s*(?!@package)(.*)")
_TARGET = re.compile(r"^_target_: (\S+)", re.MULTILINE)
_KEY = re.compile(r"^(\w+):", re.MULTILINE)


def print_help(verb: Verb) -> None:
    """Print explanation, examples and every key of a verb; of ``train`` the presets, too."""
    from rich.console import Console
    from rich.table import Table

    print(verb.help)
    print("\nKeys are set as key=value", end="")
    presets = verb.name == "train"
    print("." if presets else ", --key value or --key=value; null stands for none.")
    width = min(shutil.get_terminal_size((100, 24)).columns, 100)
    console = Console(width=width, highlight=False, markup=False, emoji=False)
    groups: dict[str, list[tuple[str, str]]] = {}
    for title, rows in (*_key_groups(verb, verb.schema), *(_preset_groups() if presets else ())):
        groups.setdefault(title, []).extend(rows)
    for title, rows in groups.items():
        table = Table(
            title=title, title_justify="left", show_header=False, box=None, padding=(0, 2)
        )
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for row in rows:
            table.add_row(*row)
        console.print(table, new_line_start=True)
    if "Exit code" not in verb.help:
        print(f"\n{EXIT_CODES}")


def _key_groups(
    verb: Verb, schema: type[Any], prefix: str = ""
) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    for title, keys in groups_of(schema):
        plain = [key for key in keys if not is_dataclass(key.hint)]
        own = [key for key in plain if key.hint != dict[str, Any] or key.name == "extra"]
        yield title, [(f"{prefix}{_shown(verb, key)}", _explained(key)) for key in own]
        for key in keys:
            if is_dataclass(key.hint):
                yield from _key_groups(verb, key.hint, f"{key.name}.")  # type: ignore[arg-type]


def _shown(verb: Verb, key: Key) -> str:
    """Return ``key=default`` in the style of the verb's examples."""
    if key.name in verb.positional:
        return key.name.upper()
    default = "null" if key.default is None else str(key.default)
    default = default.lower() if key.is_flag else default.replace(" ", "")
    name = f"--{key.name.replace('_', '-')}" if verb.options else key.name
    if verb.options and key.is_flag:
        return name
    return f"{name}=" if key.default is MISSING else f"{name}={default}"


def _explained(key: Key) -> str:
    choices = [choice for choice in key.choices if choice not in ("true", "false", "null")]
    missing = [choice for choice in choices if choice not in re.findall(r"\w+", key.explanation)]
    facts = ["Required."] if key.default is MISSING else []
    facts += [f"One of {', '.join(choices)}."] if missing else []
    return " ".join([key.explanation, *facts])


def _preset_groups() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    for folder in sorted(path for path in config_dir().iterdir() if path.is_dir()):
        presets = sorted(folder.glob("*.yaml"))
        yield f"{folder.name}=NAME: presets", [_preset(folder.name, path) for path in presets]


def _preset(group: str, path: Path) -> tuple[str, str]:
    """Return ``group=name`` and its first comment, target and keys."""
    text = path.read_text(encoding="utf-8")
    lines = [found[1] for line in text.splitlines() if (found := _SUMMARY.fullmatch(line))]
    summary = [lines[0] if lines else ""]
    if target := _TARGET.search(text):
        keys = [f"{group}.{key}" for key in _KEY.findall(text) if key != "defaults"]
        summary.append(f"{target[1]}: {', '.join(keys)}" if keys else target[1])
    return f"{group}={path.stem}", "\n".join(part for part in summary if part)
