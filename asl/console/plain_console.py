"""Print lines with names and paths in them as they are."""

from __future__ import annotations

from rich.console import Console

from asl.console.terminal_text import terminal_text


class PlainConsole(Console):
    """A console for lines, which stay whole: ``[final]`` or ``:cat:`` in a name are no markup."""

    def __init__(self, *, stderr: bool = False, quiet: bool = False) -> None:
        """Open standard output, or standard error."""
        super().__init__(stderr=stderr, quiet=quiet, markup=False, emoji=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """Print a line; control characters in it are escaped."""
        self.print(terminal_text(text))

    def warn(self, text: str) -> None:
        """Print a line in yellow."""
        self.print(terminal_text(text), style="yellow")
