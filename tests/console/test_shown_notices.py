"""Notices are lines on standard error, as they are and harmless."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from asl.console.shown_notices import show_notices
from asl.notices import NOTICES, notice


@pytest.fixture(autouse=True)
def unchanged() -> Iterator[None]:
    handlers = NOTICES.handlers[:]
    yield
    NOTICES.handlers[:] = handlers


def test_a_notice_is_one_line_however_often_they_are_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_notices()
    show_notices()
    notice("[red]x.codes: \x1b[2J rebuilt 100 %")
    assert capsys.readouterr() == ("", "[red]x.codes: \\x1b[2J rebuilt 100 %\n")
