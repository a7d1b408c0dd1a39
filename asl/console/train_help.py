"""Help of ``asl train``: keys of the schema and presets of every group, without Hydra or torch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
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


def print_train_help(verb: Verb, arguments: Sequence[str] = ()) -> None:
    """Print explanation, examples, presets and keys of ``asl train``."""
    from rich.console import Console
    from rich.table import Table

    print(verb.help)
    console = Console(width=100, highlight=False, markup=False)
    for title, rows in (*_key_groups(verb.schema, ""), *_preset_groups()):
        table = Table(
            title=title, title_justify="left", show_header=False, box=None, padding=(0, 2)
        )
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for row in rows:
            table.add_row(*row)
        console.print(table, new_line_start=True)
    print(f"\n{EXIT_CODES}")


def _key_groups(schema: type[Any], prefix: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    for title, keys in groups_of(schema):
        own = [key for key in keys if not is_dataclass(key.hint) and key.hint != dict[str, Any]]
        own += [key for key in keys if key.name == "extra"]
        yield title, [(f"{prefix}{key.name}={_shown(key)}", key.explanation) for key in own]
        for key in keys:
            if is_dataclass(key.hint):
                yield from _key_groups(key.hint, f"{key.name}.")  # type: ignore[arg-type]


def _shown(key: Key) -> str:
    if key.default is None or key.default is MISSING:
        return "null"
    shown = f"{str(key.default).lower() if isinstance(key.default, bool) else key.default}"
    return shown.replace(" ", "")


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
