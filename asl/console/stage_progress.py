"""One line of progress for work in several stages: stage k of n, one bar, one time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from asl.console.terminal_text import terminal_text
from asl.console.time_left import Stage, TimeLeft

Update = Callable[[int, int], None]  # (done, total)
StageBar = Callable[..., AbstractContextManager[Update]]


@contextmanager
def stage_progress(
    stages: Sequence[Stage], *, done: str = "done", prior: float = 0.0
) -> Iterator[StageBar]:
    """Yield a function (label, unit) -> context manager that gives an update (done, total).

    A label that begins with that of a stage belongs to it, and stages that are left out count as
    done. The line is drawn on stderr, so that results on stdout stay clean.

    Args:
        stages: expected ones, in their order.
        done: word that the line ends with.
        prior: trust in costs that are seconds (:class:`asl.console.time_left.TimeLeft`).
    """
    columns: list[ProgressColumn] = [
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[counts]}", markup=False),
    ]
    began = time.monotonic()
    clock = TimeLeft(stages, began, prior=prior)
    columns.append(_LeftColumn(clock))
    display = _Display(Progress(*columns, console=Console(file=sys.stderr)), stages, clock)
    try:
        yield display.bar
        display.finish(done, time.monotonic() - began)
    finally:
        display.close()


class _LeftColumn(ProgressColumn):
    """The time left, which goes on between two updates; at the end the whole time."""

    def __init__(self, clock: TimeLeft) -> None:
        super().__init__()
        self._clock = clock

    def render(self, task: Task) -> Text:
        """Return a text such as ``0:01:30 left``."""
        if task.fields["whole"] is not None:
            return Text(f"in {_clock(task.fields['whole'])}")
        left = self._clock.shown(time.monotonic())
        return Text("" if left is None else f"{_clock(left)} left")


class _Display:
    def __init__(self, line: Progress, stages: Sequence[Stage], clock: TimeLeft) -> None:
        self._line = line
        self._stages = stages
        self._time = clock
        self._place = -1
        self._begun = False  # an empty line before an error says nothing
        self._task = line.add_task("", total=1.0, counts="", whole=None)

    @contextmanager
    def bar(self, label: str, unit: str = "") -> Iterator[Update]:
        """Show a stage while it runs."""
        place = next(
            (n for n, stage in enumerate(self._stages) if label.startswith(stage.label)),
            max(self._place, 0),
        )
        if place > self._place:
            self._place = place
            self._time.begin(place, time.monotonic())
        began = time.monotonic()
        name = f"{self._place + 1}/{len(self._stages)} {terminal_text(label)}"

        def update(done: int, total: int) -> None:
            now = time.monotonic()
            self._time.update(done / total if total else 1.0, now, units=total)
            rate = done / (now - began) if now > began else 0.0
            self._line.update(
                self._task,
                description=name,
                completed=self._time.done,
                counts=f"{done}/{total} {unit}, {rate:.0f}/s",
            )
            if not self._begun:
                self._begun = True
                self._line.start()

        yield update

    def finish(self, word: str, seconds: float) -> None:
        """Show the whole time instead of the last stage; nothing where nothing was to do."""
        if self._begun:
            self._line.update(
                self._task,
                description=word,
                completed=1.0,
                counts="",
                whole=seconds,
            )

    def close(self) -> None:
        """Leave the line as it is."""
        if self._begun:
            self._line.stop()


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
