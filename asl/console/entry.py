"""One way to start every verb: ``asl VERB ...``, ``python -m asl.VERB ...``, or from Python."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

from asl.console.exit_codes import exit_code, keep_memory
from asl.console.verb_help import print_help
from asl.console.verbs import VERBS

_COMMAND: ContextVar[str] = ContextVar("command", default="asl")


def entry_point(name: str) -> Callable[..., None]:
    """Return the ``main`` of a verb's module.

    The returned function takes the words after the verb (default: those of the process) and exits
    with the verb's code where that is not 0.
    """

    def main(arguments: Sequence[str] | None = None) -> None:
        code = start(name, sys.argv[1:] if arguments is None else arguments)
        if code:
            sys.exit(code)

    return main


def current_command() -> str:
    """Return the command line that runs, for files that say how they were made."""
    return _COMMAND.get()


def start(name: str, arguments: Sequence[str]) -> int:
    """Run a verb with the words after it; return the exit code."""
    verb = VERBS[name]
    _COMMAND.set(shlex.join(["asl", name, *arguments]))
    if "--help" in arguments or "-h" in arguments:
        print_help(verb)
        return 0
    if name == "train":
        from asl.console.train_command import start_train

        return start_train(verb, arguments)

    def read_and_run() -> int | None:
        from asl.console.arguments import read_arguments

        config = read_arguments(verb, arguments)
        keep_memory()
        return verb.run(config)

    return exit_code(read_and_run)


def compose(name: str, overrides: Sequence[str] = ()) -> Any:
    """Return the configuration of a verb without running it, for tests and notebooks.

    Args:
        name: the verb.
        overrides: words as on the command line, ``key=value``.

    Returns:
        An instance of the verb's schema.

    Raises:
        UsageError: an unknown key (the nearest are named), a missing one, or a wrong value.
    """
    verb = VERBS[name]
    if name == "train":
        from asl.console.train_command import compose_train

        return compose_train(overrides)
    from asl.console.arguments import read_arguments

    return read_arguments(verb, overrides)
