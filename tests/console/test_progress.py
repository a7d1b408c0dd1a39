"""The bar: drawn on stderr, label as text, gone where there was nothing to do."""

from __future__ import annotations

import pytest

from asl.console.progress import progress_bar
from asl.console.terminal_text import terminal_text


@pytest.mark.parametrize("label", ["[", "[/red]", "{0}", "100 %", "a\x1b[2J"])
def test_the_label_of_a_bar_is_no_markup(label: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder may be called [ and end a rich table, or {0} and end a format."""
    with progress_bar(label, unit="images") as progress:
        progress(1, 2)
    printed = capsys.readouterr().err
    assert terminal_text(label) in printed


def test_a_bar_shows_done_of_total_and_the_rate_on_stderr(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with progress_bar("embedding", unit="images") as progress:
        for done in range(1, 6):
            progress(done, 5)
    printed = capsys.readouterr()
    assert not printed.out, "results on stdout stay clean"
    assert "embedding" in printed.err
    assert "5/5" in printed.err
    assert "images/s" in printed.err


@pytest.mark.parametrize("calls", [[], [(0, 0)]])
def test_a_bar_of_nothing_is_not_shown(
    calls: list[tuple[int, int]], capsys: pytest.CaptureFixture[str]
) -> None:
    with progress_bar("nothing to do") as progress:
        for call in calls:
            progress(*call)
    assert "nothing to do" not in capsys.readouterr().err


def test_an_error_inside_comes_through(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        with progress_bar("work") as progress:
            progress(1, 3)
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        work()
    assert "1/3" in capsys.readouterr().err
