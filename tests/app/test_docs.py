"""The examples of README and docs that are marked with ``<!-- runs -->`` do run, in order, page by page."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from asl.models.files import SHIPPED, shipped_model
from asl.types import UsageError

from .conftest import crop, encode, textured

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"<!-- runs -->\s*\n```(\w+)\n(.*?)\n```", re.DOTALL)


def blocks(page: Path) -> list[tuple[str, str]]:
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def test_every_mark_is_followed_by_a_block_that_can_run() -> None:
    for page in PAGES:
        found = blocks(page)
        assert len(found) == page.read_text(encoding="utf-8").count("<!-- runs -->"), page.name
        assert {language for language, _ in found} <= {"python", "console"}, page.name
    assert sum(len(blocks(page)) for page in PAGES) >= 7


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the pages speak of: photos, new, suspect.jpg, predictions.csv and truth.csv."""
    try:
        shipped_model()
    except UsageError:
        pytest.skip(f"this checkout has no {SHIPPED}, the model that the examples use")
    for name in ("photos", "new"):
        (tmp_path / name).mkdir()
    for seed in range(6):
        (tmp_path / "photos" / f"IMG_{seed:04}.jpg").write_bytes(encode(textured(seed), quality=94))
    (tmp_path / "photos" / "IMG_0000 small.jpg").write_bytes(encode(cv2.resize(textured(0), (240, 180))))
    (tmp_path / "new" / "cut.jpg").write_bytes(encode(crop(textured(2)), quality=85))
    (tmp_path / "suspect.jpg").write_bytes(encode(crop(textured(1)), quality=85))
    (tmp_path / "truth.csv").write_text("query_id,reference_id\nQ1,R1\nQ2,\nQ3,R3\n")
    (tmp_path / "predictions.csv").write_text("query_id,reference_id,score\nQ1,R1,0.9\nQ2,R3,0.5\nQ3,R1,0.4\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def run_console(text: str, folder: Path) -> None:
    """The lines that start with ``$``, as one script; what it leaves in the background is ended."""
    lines = [line[2:] for line in text.splitlines() if line.startswith("$ ")]
    if any(line.startswith(("curl", "until curl")) for line in lines) and not shutil.which("curl"):
        pytest.skip("no curl on this machine")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        script = "\n".join(lines).replace("8765", str(probe.getsockname()[1]))
    with (folder / "output.txt").open("w+") as output:
        process = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", script], stdout=output, stderr=output, start_new_session=True
        )
        try:
            code = process.wait(200)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        output.seek(0)
        assert code == 0, f"{script}\n{output.read()[-3000:]}"


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.name)
def test_the_examples_run(page: Path, workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {"__name__": "__main__"}
    for language, text in blocks(page):
        if language == "python":
            exec(compile(text, str(page.name), "exec"), names)
        else:
            run_console(text, workplace)


def test_the_pictures_that_pages_name_are_there_and_small() -> None:
    named = {
        (page.parent / name).resolve()
        for page in PAGES
        for name in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    }
    there = set((ROOT / "docs" / "pictures").iterdir())
    assert named == there, "none is missing, none is left over"
    assert 1 <= len(there) <= 10
    for path in there:
        assert path.stat().st_size <= 60_000, path.name


@pytest.mark.slow
def test_the_pictures_and_their_numbers_are_drawn_by_the_code(tmp_path: Path) -> None:
    """Drawn again, the page says the same; the last digit may depend on the machine."""
    try:
        shipped_model()
    except UsageError:
        pytest.skip(f"this checkout has no {SHIPPED}, the model that draws them")
    page = (ROOT / "docs" / "how-it-works.md").read_text(encoding="utf-8")
    blank = re.sub(r"(<!-- numbers: \S+ -->\n).*?(\n<!-- /numbers -->)", r"\1\2", page, flags=re.DOTALL)
    assert len(blank) < len(page), "there are numbers"
    (tmp_path / "how-it-works.md").write_text(blank, encoding="utf-8")
    command = [sys.executable, str(ROOT / "scripts" / "draw_docs.py"), "--docs", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    again = (tmp_path / "how-it-works.md").read_text(encoding="utf-8").replace("\u2212", "-")
    number = re.compile(r"[-+]?\d+\.\d+")
    old = page.replace("\u2212", "-")
    assert number.sub("#", again) == number.sub("#", old)
    pairs = zip(number.findall(old), number.findall(again), strict=True)
    assert all(abs(float(first) - float(second)) < 0.03 for first, second in pairs)
    pictures = ROOT / "docs" / "pictures"
    assert {path.name for path in (tmp_path / "pictures").iterdir()} == {path.name for path in pictures.iterdir()}


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="`pip install asl-icd[docs]` builds the site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "site" / "tutorial.html").is_file()
