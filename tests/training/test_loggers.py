"""Loggers: metrics.csv always but for none, a tracker beside it, missing packages named."""

from __future__ import annotations

from pathlib import Path

import pytest
from lightning.pytorch.loggers import TensorBoardLogger

from asl.training import loggers
from asl.training.loggers import LOGGERS, check_logger, make_loggers
from asl.training.metrics_file import MetricsFile
from asl.types import AslError, UsageError


def test_a_tracker_comes_beside_the_metrics_file(tmp_path: Path) -> None:
    assert make_loggers("none", tmp_path) is False
    alone = make_loggers("csv", tmp_path)
    both = make_loggers("tensorboard", tmp_path)
    assert alone
    assert [type(logger) for logger in alone] == [MetricsFile]
    assert both
    assert [type(logger) for logger in both] == [MetricsFile, TensorBoardLogger]
    assert Path(str(both[1].log_dir)) == tmp_path / "logs"


def test_a_resumed_training_appends(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("step,loss\n0,1.0\n1,2.0\n")
    made = make_loggers("csv", tmp_path, resumed_step=1)
    assert made
    made[0].log_metrics({"loss": 3.0}, 1)
    made[0].save()
    assert (tmp_path / "metrics.csv").read_text() == "step,loss\n0,1.0\n1,3.0\n"


def test_unknown_and_missing_loggers_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"trainer\.logger: expected one of csv, .* got 'clearml'"):
        check_logger("clearml")
    monkeypatch.setattr(loggers, "find_spec", lambda name: None)
    for name, package in LOGGERS.items():
        if not package:
            check_logger(name)
            continue
        with pytest.raises(AslError, match=f"{name} is not installed; run `pip install {name}`"):
            check_logger(name)


def test_a_folder_whose_name_is_not_utf8_is_for_other_loggers() -> None:
    check_logger("csv", output="runs/\udcff")
    check_logger("tensorboard", output="runs/mine")
    with pytest.raises(UsageError, match=r"^output: TensorBoard .*got runs/\\xff; choose another"):
        check_logger("tensorboard", output="runs/\udcff")
