"""Find the configuration tree, and flatten nested configurations.

``conf/`` is beside the package in a checkout and inside it (``asl/conf``) in an installed wheel.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asl.errors import AslError


def config_dir() -> Path:
    """Return the folder of YAML files, absolute.

    Raises:
        AslError: neither place has it (a broken installation).
    """
    package = Path(__file__).resolve().parents[1]
    for candidate in (package / "conf", package.parent / "conf"):
        if (candidate / "train.yaml").is_file():
            return candidate
    raise AslError(
        f"no configuration: neither {package / 'conf'} nor {package.parent / 'conf'} holds "
        "train.yaml; install the package again"
    )


def flatten_keys(tree: Mapping[str, Any], prefix: str = "") -> list[str]:
    """List every key of a nested mapping, dotted.

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
    """Return every leaf of a nested mapping by its dotted key.

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
