"""Install the wheel: configuration and data files are inside, from any working directory."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.mark.slow
def test_the_wheel_brings_its_configuration(installed: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    code = "import asl.console.configuration; print(asl.console.configuration.config_dir())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(done.stdout.strip()) == installed / "asl" / "conf"
    helped = subprocess.run(
        [sys.executable, "-m", "asl.train", "--help"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert helped.returncode == 0, helped.stderr
    assert "edits" in helped.stdout


@pytest.mark.slow
def test_pages_find_their_templates_in_the_wheel(installed: Path, tmp_path: Path) -> None:
    code = (
        "from asl.report.page import render; "
        "print(render('service.html', folder='app/service/page')); "
        "print(render('gallery.html', folder='app/scanning/page', title='', facts={}, "
        "data={'left_out': 0, 'across': False}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "function lowerItem" in done.stdout
    assert (installed / "asl" / "report" / "templates" / "report.html").is_file()


@pytest.mark.slow
def test_every_configuration_file_is_in_the_wheel(installed: Path) -> None:
    here = {str(path.relative_to(ROOT / "conf")) for path in (ROOT / "conf").rglob("*.yaml")}
    there = {
        str(path.relative_to(installed / "asl" / "conf"))
        for path in (installed / "asl" / "conf").rglob("*.yaml")
    }
    assert here == there
    assert here


@pytest.mark.slow
def test_every_page_is_in_the_wheel(installed: Path) -> None:
    def pages(package: Path) -> set[str]:
        kinds = (".html", ".css", ".js")
        files = (path for path in package.rglob("*") if path.suffix in kinds)
        return {path.relative_to(package).as_posix() for path in files}

    here = pages(ROOT / "asl")
    assert {"app/leaks/page/leaks.html", "app/explaining/page/case.html"} <= here
    assert pages(installed / "asl") == here
