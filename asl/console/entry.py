"""One way to start every verb: ``asl VERB ...``, ``python -m asl.VERB ...``, or from Python.

A verb's module gives its functions to its :class:`EntryPoint`; nothing here imports a verb.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from asl.console.exit_codes import exit_code, keep_memory
from asl.console.shown_notices import show_notices
from asl.console.verb_help import print_help
from asl.console.verbs import VERBS

_COMMAND: ContextVar[str] = ContextVar("command", default="asl")


def current_command(verb: str = "") -> str:
    """Return the command line that runs, for files that say how they were made.

    Args:
        verb: whose work it is; from Python, no command line of it runs, and the verb alone is
            returned.
    """
    command = _COMMAND.get()
    ours = not verb or command.startswith(f"asl {verb} ")
    return command if ours else f"asl {verb}"


@dataclass(frozen=True)
class EntryPoint:
    """``main`` of a verb's module.

    Attributes:
        name: the verb.
        run: does the work; takes an instance of the verb's schema, returns the exit code.
        check: refuses configurations that the schema accepts; ``train`` has one.
    """

    name: str
    run: Callable[[Any], int | None]
    check: Callable[[Any], None] | None = None

    def __call__(self, arguments: Sequence[str] | None = None) -> None:
        """Run the verb; exit with its code where that is not 0.

        Args:
            arguments: words after the verb; None: those of the process.
        """
        code = self.start(sys.argv[1:] if arguments is None else arguments)
        if code:
            sys.exit(code)

    def start(self, arguments: Sequence[str]) -> int:
        """Run the verb with the words after it; return the exit code."""
        _COMMAND.set(shlex.join(["asl", self.name, *arguments]))
        if "--help" in arguments or "-h" in arguments:
            print_help(VERBS[self.name])
            return 0
        if self.name == "train":
            from asl.console.train_command import start_train

            return start_train(self.run, self._checked, arguments)

        def read_and_run() -> int | None:
            config = self.compose(arguments)
            keep_memory()
            show_notices()
            return self.run(config)

        return exit_code(read_and_run)

    def compose(self, arguments: Sequence[str] = ()) -> Any:
        """Return the configuration of the words after the verb, without running it.

        Raises:
            UsageError: an unknown key (the nearest are named), a missing one, or a wrong value.
        """
        if self.name == "train":
            from asl.console.train_command import compose_train

            return self._checked(compose_train(arguments))
        from asl.console.arguments import read_arguments

        return self._checked(read_arguments(VERBS[self.name], arguments))

    def _checked(self, config: Any) -> Any:
        if self.check:
            self.check(config)
        return config
