"""Classes that a configuration may name with ``_target_``: the one door from text to code.

A configuration is data, also one that came with somebody's recipe or checkpoint. Every target is
resolved before anything is called: it must be a class (or a listed function), defined and not
merely imported in a package of its slot, and of the type that the slot expects; its arguments must
be in its signature. Hydra's ``instantiate`` would call any function by its name.
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from types import FunctionType
from typing import Any

from asl.console.key_names import keys_named, unknown_key
from asl.console.value_types import expected_type
from asl.errors import UsageError

TRUSTED_VARIABLE = "ASL_TRUSTED_PACKAGES"
_NAME = re.compile(r"[A-Za-z]\w*(\.[A-Za-z]\w*)+", re.ASCII)
_MAX_DEPTH = 40
_MODIFIERS = {"_target_", "_partial_", "_convert_"}

# Old module -> new module: recipes and checkpoints that name the old one still resolve.
MOVED_MODULES = {
    "asl.edits.edit": "asl.edits.engine.edit_base",
    "asl.edits.kinds": "asl.edits.benchmark_kinds",
    "asl.edits.local": "asl.edits.local_warps",
    "asl.losses.hard_negative": "asl.losses.hard_pairs",
    "asl.losses.inputs": "asl.losses.loss_inputs",
    "asl.losses.weighted": "asl.losses.weighted_sum",
    "asl.scoring.negatives": "asl.scoring.negative_subtraction",
}
MOVED_CLASSES = {
    "asl.losses.contrastive.CrossBatchContrastive": "asl.losses.memory_bank.CrossBatchContrastive",
    "asl.losses.contrastive.QueueNCE": "asl.losses.memory_bank.QueueNCE",
}


@dataclass(frozen=True)
class Slot:
    """A place in a configuration that takes a ``_target_``.

    Attributes:
        key: key of the place, such as ``optim``.
        expects: the kind of thing in words, such as "an optimiser".
        packages: packages that may define the target.
        bases: classes that the target must derive from.
        parts: classes that targets inside the target must derive from; empty: ``bases``.
        functions: full names of functions that are allowed as well.
        keywords: dataclass whose fields are what a function of the slot takes as ``**keywords``.
        given: arguments that the caller adds.
    """

    key: str
    expects: str
    packages: tuple[str, ...]
    bases: tuple[type, ...]
    parts: tuple[type, ...] = ()
    functions: frozenset[str] = frozenset()
    keywords: type | None = None
    given: frozenset[str] = frozenset()

    def inside(self, key: str) -> Slot:
        """Return the slot of targets inside the target, at ``key``."""
        return replace(self, key=key, bases=self.parts or self.bases, given=frozenset())


def trusted_packages() -> tuple[str, ...]:
    """Return the packages that the user allows beside those of a slot, from the environment."""
    names = os.environ.get(TRUSTED_VARIABLE, "").replace(",", " ").split()
    return tuple(name for name in names if name.replace(".", "").isidentifier())


def trust(packages: Sequence[str]) -> None:
    """Allow further packages in this process and those that it starts; for command lines only."""
    names = dict.fromkeys((*trusted_packages(), *packages))
    os.environ[TRUSTED_VARIABLE] = " ".join(names)


def resolve(target: object, slot: Slot) -> Callable[..., Any]:
    """Return the class that ``target`` names, without calling anything.

    Raises:
        UsageError: it is outside the packages of the slot, does not exist, or is something else
            than the slot expects.
    """
    where = f"{slot.key}._target_"
    if not isinstance(target, str) or len(target) > 200 or not _NAME.fullmatch(target):
        raise UsageError(f"{where}: expected the dotted name of a class, got {target!r:.200}")
    module, _, name = moved(target).rpartition(".")
    packages = (*slot.packages, *trusted_packages())
    if not _within(module, packages):
        raise UsageError(
            f"{where}: {target} is not allowed; {slot.expects} of {' or '.join(slot.packages)} is, "
            "and trusted=[PACKAGE] on the command line allows those of another package"
        )
    try:
        found = getattr(import_module(module), name, None)  # some names are loaded on use
    except ImportError as error:
        raise UsageError(f"{where}: cannot import {module} ({error})") from error
    if found is None:
        raise UsageError(f"{where}: {module} has no {name}")
    if isinstance(found, type):
        if _within(found.__module__, packages) and issubclass(found, slot.bases):
            return found
    elif isinstance(found, FunctionType):
        full = f"{found.__module__}.{found.__qualname__}"
        if full in slot.functions or (slot.functions and _within(full, trusted_packages())):
            return found
    raise UsageError(f"{where}: expected {slot.expects}, got {target}, which is none")


def moved(target: str) -> str:
    """Return today's name of a class.

    >>> moved("asl.losses.hard_negative.PushApart")
    'asl.losses.hard_pairs.PushApart'
    """
    module, _, name = target.rpartition(".")
    return MOVED_CLASSES.get(target, f"{MOVED_MODULES.get(module, module)}.{name}")


def check(node: Any, slot: Slot, verb: str) -> None:
    """Resolve every target of a node and check its arguments; call nothing.

    Args:
        node: mapping with ``_target_``; nested ones have the same slot.
        slot: what is expected.
        verb: verb that the node belongs to, for the names of renamed keys.

    Raises:
        UsageError: a target that is not allowed, an unknown key (the nearest are named), a missing
            one, or a value of the wrong type.
    """
    if not isinstance(node, Mapping) or "_target_" not in node:
        raise UsageError(f"{slot.key}: expected a mapping with _target_, got {node!r:.200}")
    for key, inner in _targets(node, slot.key):
        place = slot.inside(key) if key != slot.key else slot
        _check_arguments(resolve(inner["_target_"], place), inner, place, verb)


def build(node: Any, slot: Slot, **given: Any) -> Any:
    """Build what a node describes.

    Args:
        node: mapping with ``_target_`` and arguments; ``_partial_: true`` leaves the call to the
            caller.
        slot: what is expected.
        given: further arguments of the outermost call.

    Raises:
        UsageError: as :func:`check`, which comes first; or the class refuses its arguments.
    """
    check(node, replace(slot, given=frozenset(given)), "train")
    return _build(node, slot, given)


def _build(node: Any, slot: Slot, given: Mapping[str, Any]) -> Any:
    if isinstance(node, list | tuple):
        return [
            _build(item, replace(slot, key=f"{slot.key}.{number}"), {})
            for number, item in enumerate(node)
        ]
    if not isinstance(node, Mapping):
        return node
    inner = slot.inside(slot.key) if "_target_" in node else slot
    arguments = {
        name: _build(value, replace(inner, key=f"{slot.key}.{name}"), {})
        for name, value in node.items()
        if name not in _MODIFIERS
    }
    if "_target_" not in node:
        return arguments
    call = resolve(node["_target_"], slot)
    if node.get("_partial_"):
        return partial(call, **arguments, **given)
    try:
        with keys_named({name: f"{slot.key}.{name}" for name in (*_parameters(call), *arguments)}):
            return call(**arguments, **given)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"{slot.key}: {node['_target_']} refuses its arguments: {error}"
        ) from error


def _targets(node: Any, key: str, depth: int = 0) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the key and the mapping of every ``_target_`` in a tree."""
    if depth > _MAX_DEPTH:
        raise UsageError(f"{key[:80]}: nested more than {_MAX_DEPTH} levels deep")
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield key, node
        for name, value in node.items():
            yield from _targets(value, f"{key}.{name}", depth + 1)
    elif isinstance(node, list | tuple):
        for number, value in enumerate(node):
            yield from _targets(value, f"{key}.{number}", depth + 1)


def _check_arguments(
    call: Callable[..., Any], node: Mapping[str, Any], slot: Slot, verb: str
) -> None:
    named = _parameters(call)
    kinds = {parameter.kind for parameter in inspect.signature(call).parameters.values()}
    open_ended = inspect.Parameter.VAR_KEYWORD in kinds
    owners = dict.fromkeys(named, call)
    if open_ended and slot.keywords and not isinstance(call, type):
        more = {n: p for n, p in _parameters(slot.keywords).items() if n not in named}
        owners |= dict.fromkeys(more, slot.keywords)
        named |= more
        open_ended = False
    for name, value in node.items():
        if name in _MODIFIERS:
            continue
        key = f"{slot.key}.{name}"
        if name not in named:
            if open_ended and not str(name).startswith("_"):
                continue
            raise unknown_key(verb, key, [f"{slot.key}.{known}" for known in named])
        if expected := expected_type(owners.get(name, call), name, value):
            raise UsageError(f"{key}: expected {expected}, got {value!r:.200}")
    if not node.get("_partial_"):
        given = node.keys() | slot.given
        missing = [n for n, p in named.items() if p.default is p.empty and n not in given]
        if missing:
            raise UsageError(f"{slot.key}.{missing[0]}: needed by {node['_target_']}")


def _parameters(call: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the parameters of a class or function that may be given by name."""
    return {
        parameter.name: parameter
        for parameter in inspect.signature(call).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }


def _within(module: str, packages: Sequence[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)
