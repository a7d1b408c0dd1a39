"""Names of keys in errors: the key as it was typed, and the key to use for an unknown one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from asl.errors import AslError, UsageError

# Verb -> old key -> new key; a command that gives an old one fails with the new one's name.
RENAMED: dict[str, dict[str, str]] = {
    "extract": {"verify": "check_files"},
    "search": {
        "local": "local_candidates",
        "candidates": "candidate_score",
        "recall": "recall_queries",
        "first": "sn_first",
        "last": "sn_last",
        "beta": "sn_weight",
    },
    "evaluate": {"first": "sn_first", "last": "sn_last", "beta": "sn_weight"},
    "reproduce": {
        "verify_top": "candidates",
        "verify_local": "local_candidates",
        "first": "sn_first",
        "last": "sn_last",
        "beta": "sn_weight",
    },
    "scan": {"details": "local_candidates"},
    "train": {
        "trainer.epochs": "trainer.max_epochs",
        "trainer.accumulate": "trainer.accumulate_grad_batches",
        "trainer.clip": "trainer.gradient_clip_val",
        "trainer.log_every": "trainer.log_every_n_steps",
        "trainer.progress": "trainer.enable_progress_bar",
    },
}


def unknown_key(
    verb: str, key: str, known: Iterable[str], *, typed: str | None = None
) -> UsageError:
    """Return the error for a key that a verb does not have.

    Args:
        verb: the verb.
        key: as in a schema: dotted, with underscores.
        known: keys of the verb.
        typed: the key as it was typed, such as ``--key``.

    Returns:
        An error that names the new name of an old key, else the nearest keys.

    >>> str(unknown_key("extract", "verify", []))
    'verify: was renamed; use check_files='
    >>> str(unknown_key("train", "optim.lrr", ["optim.lr", "seed"]))
    "unknown key 'optim.lrr'; did you mean optim.lr?"
    """
    new = RENAMED.get(verb, {}).get(key)
    if new:
        style = "--" if (typed or "").startswith("--") else ""
        name = f"--{new.replace('_', '-')}" if style else f"{new}="
        return UsageError(f"{typed or key}: was renamed; use {name}")
    near = nearest(key, known)
    if (typed or "").startswith("--"):
        near = [f"--{name.replace('_', '-')}" for name in near]
    hint = f"did you mean {' or '.join(near)}?" if near else "--help lists the keys"
    return UsageError(f"unknown key {typed or key!r}; {hint}")


@contextmanager
def keys_named(names: Mapping[str, str]) -> Iterator[None]:
    """Name the keys that were typed in errors of a function that names its own arguments.

    Args:
        names: argument -> key whose value it is. Errors that name anything else stay as they are.

    Raises:
        UsageError: the function refuses one of these arguments.

    >>> with keys_named({"p": "edits.flip.p"}):
    ...     raise AslError("p: expected a probability in 0..1, got 3")
    Traceback (most recent call last):
    asl.errors.UsageError: edits.flip.p: expected a probability in 0..1, got 3
    """
    try:
        yield
    except AslError as error:
        arguments, colon, rest = str(error).partition(":")
        keys = [names.get(name, "") for name in arguments.split(", ")]
        if not colon or not all(keys):
            raise
        raise UsageError(f"{', '.join(keys)}:{rest}") from error


def nearest(key: str, known: Iterable[str]) -> list[str]:
    """Return up to three known keys like ``key``: near in spelling, then of the same last name.

    >>> nearest("model.dmi", ["model.dim", "model.std", "optim.lr"])
    ['model.dim']
    >>> nearest("lr", ["model.dim", "optim.lr"])
    ['optim.lr']
    """
    names = [name for name in known if name != key]
    group, _, last = key.rpartition(".")
    siblings = {name.rpartition(".")[2]: name for name in names if name.rpartition(".")[0] == group}
    near = [siblings[name] for name in _close(last, siblings)]
    same = [name for name in names if name.rpartition(".")[2] == last]
    return near or same[:3] or difflib.get_close_matches(key, names, n=3, cutoff=0.8)


def _close(word: str, known: Iterable[str]) -> list[str]:
    """Return the nearest word, and those that are nearly as near."""
    found = difflib.get_close_matches(word, known, n=3)
    likeness = [difflib.SequenceMatcher(None, word, name).ratio() for name in found]
    return [name for name, ratio in zip(found, likeness, strict=True) if ratio > likeness[0] - 0.1]
