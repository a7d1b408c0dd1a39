"""One progress bar for everything that takes long: done, rate, time left."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from asl.console.terminal_text import terminal_text


class _Rate(ProgressColumn):
    """Column with the units per second since the start."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        """Return a text such as ``123 images/s``."""
        speed = task.completed / task.elapsed if task.elapsed else 0.0
        return Text(f"{speed:.0f} {self._unit}/s")


def no_bar(label: str, unit: str = "") -> AbstractContextManager[Callable[[int, int], None]]:
    """Return what :func:`progress_bar` does, for quiet runs: nothing is drawn."""
    return nullcontext(lambda done, total: None)


@contextmanager
def progress_bar(label: str, unit: str = "") -> Iterator[Callable[[int, int], None]]:
    """Yield a function that takes (done, total).

    The bar is drawn on stderr, so that results on stdout stay clean.
    """
    columns = [
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(unit),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=Console(file=sys.stderr), transient=False) as bar:
        task = bar.add_task(terminal_text(label), total=None)

        def update(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield update
        if not bar.tasks[task].total:  # there was nothing to do: an empty bar says less than none
            bar.update(task, visible=False)
