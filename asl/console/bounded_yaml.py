"""Read YAML within a budget: a few hundred bytes of nested aliases can stand for terabytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from asl.errors import UsageError

MAX_BYTES = 1_000_000
MAX_DEPTH = 40
MAX_NODES = 100_000  # after every alias is replaced by what it stands for


def check_yaml(path: Path) -> None:
    """Refuse a YAML file that is too large, too deep, or too large once its aliases are expanded.

    Raises:
        UsageError: naming the file and the limit.
    """
    import yaml

    try:
        text = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error})") from error
    if len(text) > MAX_BYTES:
        raise UsageError(f"{path}: has {len(text)} bytes; at most {MAX_BYTES} are read")
    depth = 0
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise UsageError(f"{path}: is nested more than {MAX_DEPTH} levels deep")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"{path}: is not readable YAML ({reason})") from error
    if root is not None and _expanded(root, {}, set()) > MAX_NODES:
        raise UsageError(f"{path}: its aliases stand for more than {MAX_NODES} values")


def _expanded(node: Any, sizes: dict[int, int], above: set[int]) -> int:
    """Return the number of values of a node with its aliases expanded."""
    if id(node) in sizes:
        return sizes[id(node)]
    if id(node) in above:
        return MAX_NODES + 1  # a node inside itself never ends
    above.add(id(node))
    parts = node.value if isinstance(node.value, list) else []
    inner = [item for part in parts for item in (part if isinstance(part, tuple) else (part,))]
    sizes[id(node)] = 1 + sum(_expanded(item, sizes, above) for item in inner)
    above.discard(id(node))
    return sizes[id(node)]
