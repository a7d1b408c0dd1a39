"""Run or check every block of code in README and docs.

Blocks marked with ``<!-- runs -->`` run in order, page by page. Commands that take hours, a GPU or
data that may not be copied are ``bash`` blocks without the mark: their keys and options are looked
up, so that no page names one that does not exist.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from asl.cli import compose
from asl.console.verbs import VERBS
from asl.data import completeness
from asl.data.catalog import open_catalog
from asl.data.synthetic_benchmark import BenchmarkPlan, BenchmarkSources, build_benchmark
from asl.edits.benchmark_kinds import benchmark_kinds
from asl.models.shipped import SHIPPED, shipped_model
from asl.types import UsageError
from tests.app.conftest import crop, encode, textured

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(<!-- runs -->\s*\n)?```(\w*)\n(.*?)\n```", re.DOTALL)
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "optional-dependencies"
]
PLAIN = {"text", "sh", "powershell"}  # trees of folders, job scripts, other shells


def blocks(page: Path, *, run: bool = True) -> list[tuple[str, str]]:
    """(language, text) of the blocks that run, or of the others."""
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [(language, text) for mark, language, text in found if bool(mark) == run]


def commands(text: str) -> list[str]:
    """Commands of a block, continuation lines joined, comments left out."""
    joined = text.replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]


def test_every_mark_is_followed_by_a_block_that_can_run() -> None:
    for page in PAGES:
        found = blocks(page)
        assert len(found) == page.read_text(encoding="utf-8").count("<!-- runs -->"), page.name
        assert {language for language, _ in found} <= {"python", "bash"}, page.name
    assert sum(len(blocks(page)) for page in PAGES) >= 30


def test_blocks_that_do_not_run_are_commands_that_are_checked() -> None:
    for page in PAGES:
        for language, text in blocks(page, run=False):
            assert language in PLAIN | {"bash", "python"}, f"{page.name}: {text[:60]}"
            if language == "python":
                compile(text, page.name, "exec")
            for line in commands(text) if language == "bash" else ():
                check(line)


@pytest.mark.parametrize(
    "line",
    [
        "python -m asl.train data.trian=x",
        "asl scan photos --no-such-option",
        "asl serve --prot 9000",
        "python scripts/nowhere.py x",
        "python scripts/make_benchmark.py x --no-such-option",
        "make no-such-target",
        "frobnicate --now",
    ],
)
def test_a_wrong_command_on_a_page_is_seen(line: str) -> None:
    with pytest.raises((AssertionError, UsageError, SystemExit)):
        check(line)


def check(line: str) -> None:
    """A command that is not run: its keys compose, its options are options."""
    words = [word for word in shlex.split(line, comments=True) if word != "…"]
    while "=" in words[0]:
        words.pop(0)  # variables of the environment
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), line
    elif words[0] == "asl":
        if words[1] in ("--help", "VERB", "completion"):
            return
        if words[1] == "data":
            completeness.parser().parse_args(words[2:])
        elif "--help" not in words:
            composed(words[1], words[2:])
    elif "-m" in words and words[words.index("-m") + 1].startswith("asl."):
        start = words.index("-m") + 1
        composed(words[start].removeprefix("asl."), words[start + 1 :])
    elif words[0] == "curl":
        assert words[-1].startswith("http"), line
    elif words[:2] == ["pip", "install"]:
        extras = set(re.findall(r"[\w-]+", " ".join(re.findall(r"\[(.*?)\]", words[-1]))))
        assert extras <= set(EXTRAS), line
    elif words[0] in (".", "export"):
        assert len(words) > 1, line
    else:
        assert words[0] == "python", line
        assert words[1].startswith("scripts/"), line
        script = ROOT / words[1]
        assert script.is_file(), line
        # Scripts of a folder of their own share options.
        files = [script] if script.parent == ROOT / "scripts" else script.parent.glob("*.py")
        text = "".join(file.read_text(encoding="utf-8") for file in files)
        for word in words[2:]:
            assert not word.startswith("--") or f'"{word}"' in text or f'"{word[2:]}"' in text, (
                f"{line}: {word}"
            )
        if words[1].endswith("bench_train.py"):
            composed("train", [word for word in words[2:] if "=" in word])


def composed(verb: str, words: list[str]) -> None:
    if verb == "train":  # of a sweep the first value of each key
        words = [
            re.sub(r"^([^=]+=[^\[{,\"]*),.*$", r"\1", word)
            for word in words
            if not word.startswith("-")
        ]
    compose(verb, words)


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the files that the pages use: photos, new, suspect.jpg, a benchmark, predictions."""
    try:
        shipped_model()
    except UsageError:
        pytest.skip(f"this checkout has no {SHIPPED}, the model that the examples use")
    for name in ("photos", "new"):
        (tmp_path / name).mkdir()
    for seed in range(6):
        (tmp_path / "photos" / f"IMG_{seed:04}.jpg").write_bytes(encode(textured(seed), quality=94))
    (tmp_path / "photos" / "IMG_0000 small.jpg").write_bytes(
        encode(cv2.resize(textured(0), (240, 180)))
    )
    (tmp_path / "new" / "cut.jpg").write_bytes(encode(crop(textured(2)), quality=85))
    (tmp_path / "suspect.jpg").write_bytes(encode(crop(textured(1)), quality=85))
    (tmp_path / "truth.csv").write_text("query_id,reference_id\nQ1,R1\nQ2,\nQ3,R3\n")
    for name, best in (("predictions", 0.9), ("others", 0.3)):
        (tmp_path / f"{name}.csv").write_text(
            f"query_id,reference_id,score\nQ1,R1,{best}\nQ2,R3,0.5\nQ3,R1,0.4\n"
        )
    (tmp_path / "CALTECH").symlink_to("photos")
    (tmp_path / "scripts").symlink_to(ROOT / "scripts")
    plan = BenchmarkPlan(copies=4, distractor_queries=1, reverse_crops=1, group_negatives=0)
    build_benchmark(
        tmp_path / "BENCH",
        BenchmarkSources(open_catalog(tmp_path / "photos")),
        kinds=benchmark_kinds(),
        plan=plan,
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Shell:
    """Run the blocks of a page; background processes live until the page is done."""

    def __init__(self, folder: Path, programs: Path) -> None:
        """Run in ``folder``, with ``python`` and ``asl`` of ``programs``."""
        self._folder, self._groups = folder, []
        self._environment = os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = str(probe.getsockname()[1])

    def run(self, text: str) -> str:
        """What the commands of a block print, as one script."""
        lines = commands(text)
        if any(line.startswith(("curl", "until curl")) for line in lines) and not shutil.which(
            "curl"
        ):
            pytest.skip("no curl on this machine")
        script = "\n".join(lines).replace("8765", self.port)
        with (self._folder / "output.txt").open("w+") as output:
            process = subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", script],
                stdout=output,
                stderr=output,
                env=self._environment,
                start_new_session=True,
            )
            self._groups.append(process.pid)
            code = process.wait(400)
            output.seek(0)
            printed = output.read()
            assert code == 0, f"{script}\n{printed[-3000:]}"
            return printed

    def end(self) -> None:
        for group in self._groups:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGTERM)


@pytest.fixture
def shell(page: Path, workplace: Path, request: pytest.FixtureRequest) -> Iterator[Shell]:
    """Each command of the README starts an interpreter of its own, as it does for a reader."""
    fresh = page.name == "README.md"
    programs = Path(sys.executable).parent if fresh else request.getfixturevalue("commands")
    made = Shell(workplace, programs)
    yield made
    made.end()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page)], ids=lambda page: page.name
)
def test_the_examples_run(page: Path, shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {"__name__": "__main__"}
    printed = ""
    for language, text in blocks(page):
        if language == "python":
            exec(compile(text.replace("8765", shell.port), str(page.name), "exec"), names)
        else:
            printed += shell.run(text)
    if page.name == "ndec.md":
        assert printed.count("resuming at step ") == 1, "the killed training was resumed"


def test_the_pictures_that_pages_name_are_there_and_small() -> None:
    named = {
        (page.parent / name).resolve()
        for page in PAGES
        for name in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    }
    photographs = set((ROOT / "docs" / "photographs").iterdir())
    there = set((ROOT / "docs" / "pictures").iterdir()) | photographs
    assert named == there, "none is missing, none is left over"
    assert 1 <= len(there) <= 10
    for path in there:
        limit = 250_000 if path.suffix == ".png" else 120_000 if path in photographs else 60_000
        assert path.stat().st_size <= limit, path.name


@pytest.mark.slow
def test_the_pictures_and_their_numbers_are_drawn_by_the_code(tmp_path: Path) -> None:
    """Drawn again, the page says the same; the last digit may depend on the machine."""
    try:
        shipped_model()
    except UsageError:
        pytest.skip(f"this checkout has no {SHIPPED}, the model that draws them")
    page = (ROOT / "docs" / "how-it-works.md").read_text(encoding="utf-8")
    blank = re.sub(
        r"(<!-- numbers: \S+ -->\n).*?(\n<!-- /numbers -->)", r"\1\2", page, flags=re.DOTALL
    )
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
    assert {path.name for path in (tmp_path / "pictures").iterdir()} == {
        path.name for path in pictures.iterdir()
    }


def test_every_page_is_in_the_navigation() -> None:
    named = set(re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    assert named == {page.name for page in (ROOT / "docs").glob("*.md")}


def test_the_page_of_features_names_every_command_and_file_that_exists() -> None:
    page = (ROOT / "docs" / "features.md").read_text()
    row = next(line for line in page.splitlines() if line.startswith("| commands |"))
    assert set(re.findall(r"`(\w+)`", row)) == set(VERBS)
    for link in re.findall(r"\]\((\w+\.md)\)", page):
        assert (ROOT / "docs" / link).is_file()


def test_the_api_page_names_what_exists() -> None:
    for name in re.findall(r"^::: (\S+)$", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE):
        room, _, last = name.rpartition(".")
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            assert hasattr(importlib.import_module(room), last), name


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="`pip install asl-icd[docs]` builds the site")
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--quiet",
        "--site-dir",
        str(tmp_path / "site"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "site" / "tutorial.html").is_file()
