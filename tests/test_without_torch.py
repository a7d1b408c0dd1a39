"""What people start runs without torch and its friends, from pictures to answers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.app.conftest import encode, textured, write_photos

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {"torch", "torchvision", "timm", "lightning", "albumentations", "onnx", "sklearn"}
DETECTOR = """
from asl import CopyDetector, compare
detector = CopyDetector()
detector.add("photos")
assert "p1.jpg" in [match.reference for match in detector.query("photos/p1.jpg")]
assert compare("photos/p1.jpg", "photos/p1.jpg").probability > 0.9
"""
VERB = """
from asl.cli import start
code = start({0!r}, {1!r})
assert code == 0, code
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("light")
    (write_photos(folder / "photos") / "broken.jpg").unlink()
    return folder


def loaded(program: str, folder: Path) -> set[str]:
    """Run a program in an interpreter of its own; return which heavy packages it loaded."""
    ending = "\nimport sys\nprint('loaded', *sorted({m.split('.')[0] for m in sys.modules}))\n"
    done = subprocess.run(
        [sys.executable, "-c", program + ending],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    assert last.startswith("loaded ")
    assert "numpy" in last
    return set(last.split()) & HEAVY


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def test_a_detector_and_a_comparison(folder: Path) -> None:
    assert loaded(DETECTOR, folder) == set()


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("scan", ["photos", "--output", "out"]),
        ("extract", ["images=photos", "output=store"]),
        ("search", ["queries=photos", "references=photos", "k=2", "output=pairs.csv"]),
        (
            "search",
            ["queries=photos", "references=photos", "score=verified", "output=verified.csv"],
        ),
    ],
)
def test_verbs_on_pictures(folder: Path, verb: str, words: list[str]) -> None:
    assert loaded(VERB.format(verb, words), folder) == set()


def wait_for(address: str) -> None:
    """Wait until a service listens; it prints its address before."""
    place = urlsplit(address)
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex((place.hostname, place.port)) == 0:
                return
        time.sleep(0.1)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_service(folder: Path) -> None:
    pytest.importorskip("fastapi", reason="the service needs `pip install asl-icd[serve]`")
    words = ["--library", "library", "--add", "photos", "--port", "0"]
    with subprocess.Popen(
        [sys.executable, "-m", "asl.serve", *words],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            line = next(line for line in process.stdout if "references in" in line)
            assert line.startswith("7 references")
            address = f"{line.split()[-1]}/search"
            wait_for(address)
            picture = encode(textured(1), quality=95)
            request = urllib.request.Request(address, picture, {"Content-Type": "image/jpeg"})
            with urllib.request.urlopen(request, timeout=60) as answer:
                assert b"p1.jpg" in answer.read()
            maps = Path(f"/proc/{process.pid}/maps").read_text()
        finally:
            process.terminate()
    assert "onnxruntime" in maps
    assert "libtorch" not in maps
