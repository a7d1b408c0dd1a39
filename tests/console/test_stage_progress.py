"""One line for all stages of some work."""

from __future__ import annotations

import pytest

from asl.console.stage_progress import stage_progress
from asl.console.time_left import Stage

STAGES = [Stage("reading", 1.0), Stage("comparing", 2.0), Stage("writing", 1.0)]


def test_the_line_counts_stages_and_ends_with_the_whole_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with stage_progress(STAGES, done="finished") as bar:
        for stage in ("reading", "comparing (again)", "writing"):
            with bar(stage, "files") as progress:
                progress(1, 2)
                progress(2, 2)
    printed = capsys.readouterr()
    assert not printed.out, "results on stdout stay clean"
    assert "finished" in printed.err
    assert "in 0:00:0" in printed.err
    assert printed.err.count("\n") == 1, "one line, whatever the number of stages"


def test_an_error_leaves_the_stage_that_failed(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        with stage_progress(STAGES) as bar, bar("comparing", "files") as progress:
            progress(1, 4)
            raise ValueError("disk")

    with pytest.raises(ValueError, match="disk"):
        work()
    printed = capsys.readouterr().err
    assert "2/3 comparing" in printed
    assert "1/4 files" in printed


def test_nothing_is_shown_where_nothing_is_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    with stage_progress(STAGES) as bar, bar("reading", "files"):
        pass
    assert capsys.readouterr().err == ""
