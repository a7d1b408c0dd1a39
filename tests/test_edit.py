"""``asl edit`` as a command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from asl.cli import start
from asl.console.targets import trusted_packages


@pytest.mark.slow
def test_the_command(photos: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "asl.edit", f"images={photos}", "output=out", "views=1"]
    done = subprocess.run(
        command, cwd=tmp_path, env=None, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out" / "queries").iterdir())) == len(list(photos.iterdir()))
    wrong = subprocess.run(
        [*command[:-1], "view=1"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 2
    assert "did you mean views" in wrong.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["images=nowhere", "output=out"], "images: there is no nowhere"),
        (["images=.", "output=out", "views=0"], "views: must be 1 or more, got 0"),
        (["images=.", "output=out", "quality=101"], "quality: must be in 1..100"),
        (["output=out"], "images: needed"),
    ],
)
def test_wrong_use_is_code_2_and_writes_nothing(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert start("edit", words) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_trusted_packages_are_trusted_before_a_recipe_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASL_TRUSTED_PACKAGES", "")
    seen: list[tuple[str, ...]] = []

    def make(config: object) -> int:
        seen.append(trusted_packages())
        return 0

    monkeypatch.setattr("asl.pipeline.edited_queries.make_edited_queries", make)
    assert start("edit", ["images=x", "output=y", "trusted=[json,csv]"]) == 0
    assert seen == [("json", "csv")]
