"""Rewrite the words of ``asl train`` before Hydra reads them: text as typed, no ``+`` needed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import is_dataclass
from typing import Any

from asl.console.key_names import RENAMED, unknown_key
from asl.console.schema_groups import Key, keys_of
from asl.console.schemas.train_config import TrainConfig
from asl.console.targets import trust
from asl.console.typed_text import as_typed

# Groups whose keys are the arguments of their ``_target_``, which any key may set.
TARGET_GROUPS = ("model", "loss", "optim", "edits", "score")
# Groups of which a key chooses a preset by its name.
_PRESET_GROUPS = (*TARGET_GROUPS, "data", "trainer")
_NAME = re.compile(r"(?!(?i:null|true|false|nan|inf)$)[A-Za-z_][\w/-]*")
# Arguments in those groups that are text; the others may be numbers.
_TEXT_ARGUMENTS = {"model.weights": True, "model.backbone": False}  # may be null?
OPEN_PREFIXES = (*(f"{group}." for group in TARGET_GROUPS), "trainer.extra.")
_SWEEP = re.compile(r"(choice|range|interval|glob|shuffle|sort|tag)\(")
_VALUE_FLAGS = (
    "--config-dir",
    "-cd",
    "--config-path",
    "-cp",
    "--config-name",
    "-cn",
    "--package",
    "-p",
)


def schema_keys(schema: type[Any] = TrainConfig, prefix: str = "") -> dict[str, Key]:
    """Return every key of the dataclasses by its dotted name.

    >>> sorted(name for name in schema_keys() if name.startswith("trainer.save"))
    ['trainer.save_every_minutes', 'trainer.save_every_n_steps']
    """
    found = {}
    for name, key in keys_of(schema).items():
        found[prefix + name] = key
        if is_dataclass(key.hint):
            found.update(schema_keys(key.hint, f"{prefix}{name}."))  # type: ignore[arg-type]
    return found


def is_sweep(arguments: Sequence[str]) -> bool:
    """Return True where the words ask for several jobs."""
    return "-m" in arguments or "--multirun" in arguments


def rewrite(arguments: Sequence[str]) -> list[str]:
    """Return the words as Hydra reads them; a second rewriting changes nothing.

    Args:
        arguments: words after ``asl train``. ``trusted=[PACKAGE]`` is taken out and obeyed.

    Raises:
        UsageError: an old key; the error names the new one.

    >>> rewrite(["output=2024_11_30", "model.norm_head=true", "seed=1"])
    ["output='2024_11_30'", '++model.norm_head=true', 'seed=1']
    """
    return list(_rewritten(arguments))


def _rewritten(arguments: Sequence[str]) -> Iterator[str]:
    keys = schema_keys()
    sweep = is_sweep(arguments)
    before = ""
    for word in arguments:
        name, assigns, value = word.partition("=")
        if word.startswith("-") or before in _VALUE_FLAGS or not assigns:
            yield word
        elif name == "trusted":
            trust([part.strip() for part in value.strip("[]").split(",")])
        elif name.lstrip("+~") in RENAMED["train"]:
            raise unknown_key("train", name.lstrip("+~"), ())
        elif name in keys and keys[name].is_text:
            yield f"{name}={_text(value, optional=keys[name].optional, sweep=sweep)}"
        elif name in _TEXT_ARGUMENTS:
            yield f"++{name}={_text(value, optional=_TEXT_ARGUMENTS[name], sweep=sweep)}"
        elif name in _PRESET_GROUPS:
            yield f"{name}={_preset(value, sweep=sweep)}"
        elif name.startswith(OPEN_PREFIXES):
            yield f"++{word}"
        else:
            yield word
        before = word


def _text(value: str, *, optional: bool, sweep: bool) -> str:
    """Quote a text so that Hydra takes it as typed; in a sweep, every text of the list."""
    if not value or (value == "null" and optional) or _is_quoted(value):
        return value
    if sweep:
        if _SWEEP.match(value):
            return value
        return ",".join(_quoted(part.strip()) for part in value.split(","))
    return _quoted(value)


def _preset(value: str, *, sweep: bool) -> str:
    """Quote what is no name of a preset, such as a number, so that it is refused as one."""
    if value.startswith("{") or all(_NAME.fullmatch(name) for name in value.split(",")):
        return value
    return _text(value, optional=False, sweep=sweep)


def _is_quoted(value: str) -> bool:
    return len(value) > 1 and value[0] == value[-1] and value[0] in "'\""


def _quoted(text: str) -> str:
    r"""Quote a text; ``${`` is no interpolation.

    >>> print(_quoted("it's ${set}"))
    'it\'s \${set}'
    """
    if _is_quoted(text):
        return text
    # Hydra reads a backslash as itself unless quotes follow.
    text = re.sub(r"(\\+)(?='|$)", r"\1\1", as_typed(text))
    return "'" + text.replace("'", "\\'").replace("${", "\\${") + "'"
