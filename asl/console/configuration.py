"""Where the configuration tree is, and what an unknown key is told.

``conf/`` lies beside the package in a checkout and inside it (``asl/conf``) in an installed wheel.
Every entry point composes ``conf/<entry>.yaml`` over a dataclass schema, so a misspelt key fails
instead of being ignored. The schemas stand beside what they configure.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from asl.types import AslError

_UNKNOWN_KEY = re.compile(r"Key '([^']+)' (?:is )?not in")
_OVERRIDE = re.compile(r"Could not override '([^']+)'")
_FULL_KEY = re.compile(r"full_key: (\S+)")

# Libraries whose classes a configuration may name with `_target_`; anything else could run any
# code.
TARGET_PREFIXES = ("asl.", "torch.", "timm.")


def config_dir() -> Path:
    """The folder of YAML files, absolute.

    Raises:
        AslError: neither place has it (a broken installation).
    """
    package = Path(__file__).resolve().parents[1]
    for candidate in (package / "conf", package.parent / "conf"):
        if (candidate / "train.yaml").is_file():
            return candidate
    raise AslError(
        f"no configuration: neither {package / 'conf'} nor {package.parent / 'conf'} holds train.yaml"
    )


def flatten_keys(tree: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Every key of a nested mapping, dotted: ``{"a": {"b": 1}} -> ["a", "a.b"]``.

    >>> flatten_keys({"a": {"b": 1}, "c": 2})
    ['a', 'a.b', 'c']
    """
    keys = []
    for name, value in tree.items():
        keys.append(prefix + str(name))
        if isinstance(value, Mapping):
            keys.extend(flatten_keys(value, f"{prefix}{name}."))
    return keys


def flatten_values(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Every leaf of a nested mapping by its dotted key.

    >>> flatten_values({"a": {"b": [1]}, "c": 2})
    {'a.b': [1], 'c': 2}
    """
    if not isinstance(tree, Mapping):
        return {prefix[:-1]: tree}
    return {
        key: value
        for name, part in tree.items()
        for key, value in flatten_values(part, f"{prefix}{name}.").items()
    }


def explain_unknown_key(message: str, known: Iterable[str]) -> str | None:
    r"""Turn a composition error about an unknown key into one line that names the nearest known keys.

    Returns:
        None where the error is about something else.

    >>> explain_unknown_key("Could not override 'data.trian'.\nKey 'trian' is not in struct", ["data.train", "seed"])
    "unknown key 'data.trian'; did you mean data.train?"
    """
    unknown = _UNKNOWN_KEY.search(message)
    if not unknown:
        return None
    where = _FULL_KEY.search(message) or _OVERRIDE.search(message) or unknown
    key = where.group(1)
    known = list(known)
    # Near in spelling first; then the same last name elsewhere in the tree (`lr` for `optim.lr`).
    near = difflib.get_close_matches(key, known, n=3, cutoff=0.75)
    near += [
        name
        for name in known
        if name.rsplit(".", 1)[-1] == key.rsplit(".", 1)[-1] and name not in near
    ][:3]
    hint = f"did you mean {' or '.join(near)}?" if near else "--help lists the keys"
    return f"unknown key {key!r}; {hint}"


def check_targets(tree: Any, path: str = "") -> None:
    """Refuse a configuration that names a class outside ``TARGET_PREFIXES`` (instantiating runs code).

    Raises:
        AslError: naming the key and the target.
    """
    items = (
        tree.items()
        if isinstance(tree, Mapping)
        else enumerate(tree)
        if isinstance(tree, list | tuple)
        else ()
    )
    for name, value in items:
        if name == "_target_" and not str(value).startswith(TARGET_PREFIXES):
            raise AslError(
                f"{path}_target_: {value!r} is not allowed; only {', '.join(TARGET_PREFIXES)} classes are"
            )
        check_targets(value, f"{path}{name}.")
