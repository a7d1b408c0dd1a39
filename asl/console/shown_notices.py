"""Show the notices of the rooms below on standard error."""

from __future__ import annotations

import logging

from asl.console.plain_console import PlainConsole
from asl.notices import NOTICES


class _Printer(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """Print one line."""
        PlainConsole(stderr=True).warn(record.getMessage())


def show_notices() -> None:
    """Print notices from now on, each as one line; a second call changes nothing."""
    if not any(isinstance(handler, _Printer) for handler in NOTICES.handlers):
        NOTICES.addHandler(_Printer())
