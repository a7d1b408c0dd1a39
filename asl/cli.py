"""The ``asl`` command: ``asl VERB ...`` is ``python -m asl.VERB ...``."""

from __future__ import annotations

import difflib
import runpy
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from asl.console.completion import complete
from asl.console.entry import EntryPoint
from asl.console.exit_codes import EXIT_CODES, report
from asl.console.verbs import VERBS
from asl.version import __version__


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``asl`` with the words after it (default: those of the process); exits with its code."""
    code = _run(list(sys.argv[1:] if arguments is None else arguments))
    if code:
        sys.exit(code)


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(_help())
        return 0 if words else 2
    verb, *rest = words
    if verb == "--version":
        print(__version__)
        return 0
    if verb in _OTHERS:
        return _OTHERS[verb](rest)
    if verb not in VERBS:
        names = [*VERBS, *_OTHERS]
        near = difflib.get_close_matches(verb, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(names)}"
        return report(f"there is no `asl {verb}`; {hint}", 2)
    sys.argv = [f"asl {verb}", *rest]
    if verb == "train":
        # On several devices Lightning starts it again, as the module that it must be.
        runpy.run_module("asl.train", run_name="__main__", alter_sys=True)
        return 0
    return start(verb, rest)


def start(verb: str, arguments: Sequence[str]) -> int:
    """Run a verb with the words after it; return the exit code."""
    return _entry_point(verb).start(arguments)


def compose(verb: str, overrides: Sequence[str] = ()) -> Any:
    """Return the configuration of a verb without running it, for tests and notebooks.

    Args:
        verb: the verb.
        overrides: words as on the command line, ``key=value``.

    Returns:
        An instance of the verb's schema.

    Raises:
        UsageError: an unknown key (the nearest are named), a missing one, or a wrong value.
    """
    return _entry_point(verb).compose(overrides)


def _entry_point(verb: str) -> EntryPoint:
    main: EntryPoint = import_module(f"asl.{verb}").main
    return main


def _help() -> str:
    lines = [f"  asl {verb.name:<11} {verb.help.splitlines()[0]}" for verb in VERBS.values()]
    lines += [
        "  asl data check LAYOUT PATH   Report whether a data set is complete.",
        "  asl completion SHELL         Print lines for bash, zsh or fish that complete words.",
    ]
    return "\n".join(
        [
            "Image copy detection: train, search and score in the right direction.\n",
            *lines,
            "\n`asl VERB --help` explains a verb and lists its keys.",
            EXIT_CODES,
        ]
    )


def _check_data(words: Sequence[str]) -> int:
    from asl.data.completeness import main as check

    return check(list(words))


_OTHERS: dict[str, Callable[[Sequence[str]], int]] = {
    "data": _check_data,
    "completion": complete,
}

if __name__ == "__main__":
    main()
