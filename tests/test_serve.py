"""``asl serve`` as a command: address, token, lock, signals, what is refused before it listens."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the service needs `pip install asl-icd[serve]`")

from asl.app.detector import CopyDetector
from asl.app.service.listening import address, bound, check_exposure, read_token
from asl.cli import compose, start
from asl.serve import alone, main, open_detector
from asl.shared_defaults import MODEL, MODELS
from asl.types import AslError, UsageError
from tests.app.conftest import encode, textured, write_photos
from tests.app.service.conftest import JPEG


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_photos(tmp_path / "photos")


def test_the_address_can_be_typed_into_a_browser() -> None:
    assert [address(host, 80) for host in ("127.0.0.1", "photos.lan", "::1")] == [
        "http://127.0.0.1:80",
        "http://photos.lan:80",
        "http://[::1]:80",
    ]


def test_it_does_not_open_up_by_accident(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for host in ("127.0.0.1", "::1", "localhost", "127.1.2.3"):
        check_exposure(host, "")
    for host in ("0.0.0.0", "::", "192.168.1.4", "photos.lan"):
        with pytest.raises(UsageError, match="ASL_TOKEN"):
            check_exposure(host, "")
        check_exposure(host, "open-sesame")
    monkeypatch.setenv("ASL_TOKEN", "from-the-environment")
    assert read_token(None) == "from-the-environment"
    (tmp_path / "token").write_text("from-a-file\nsecond line\n")
    assert read_token(tmp_path / "token") == "from-a-file"
    (tmp_path / "token").write_text("")
    with pytest.raises(UsageError, match="6 or more"):
        read_token(tmp_path / "token")
    monkeypatch.delenv("ASL_TOKEN")
    with pytest.raises(SystemExit) as stopped:
        main(["--host", "0.0.0.0", "--library", str(tmp_path / "library")])
    assert stopped.value.code == 2
    assert not (tmp_path / "library").exists()


@pytest.mark.slow
def test_a_kill_loses_nothing_that_was_acknowledged(model: Path, tmp_path: Path) -> None:
    """Another thread kills the process while images are added: every answered id is kept."""
    answered: list[str] = []
    for attempt in range(2):
        with live(model, tmp_path / "library") as (process, port):
            timer = threading.Timer(0.4, lambda process=process: process.kill())
            for seed in range(attempt * 500, attempt * 500 + 500):
                if seed == attempt * 500 + 3:
                    timer.start()
                request = urllib.request.Request(
                    f"http://127.0.0.1:{port}/references", encode(textured(seed, 90, 120)), JPEG
                )
                try:
                    with urllib.request.urlopen(request, timeout=20) as answer:
                        answered.append(json.load(answer)["reference"]["id"])
                except (OSError, http.client.HTTPException):
                    break
            timer.join()
            assert process.wait(20) == -signal.SIGKILL
    assert len(answered) >= 6
    with live(model, tmp_path / "library") as (_, port):
        with urllib.request.urlopen(
            f"http://127.0.0.1:{port}/references?limit=1000", timeout=20
        ) as answer:
            listed = [reference["id"] for reference in json.load(answer)["references"]]
        assert set(answered) <= set(listed)
        assert len(listed) - len(answered) <= 2, "what was under way may be there as well"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_service_well(model: Path, tmp_path: Path, number: int) -> None:
    with live(model, tmp_path / "library") as (process, _):
        process.send_signal(number)
        assert process.wait(20) == 0


def test_a_port_or_a_library_that_is_in_use_is_refused(tmp_path: Path) -> None:
    with bound("127.0.0.1", 0) as first:
        first.listen()
        port = first.getsockname()[1]
        with pytest.raises(AslError, match=f"^port {port} is in use; choose --port$"):
            bound("127.0.0.1", port)
    with pytest.raises(UsageError, match="--port must be"):
        bound("127.0.0.1", 70_000)
    with alone(tmp_path / "library"):
        with (
            pytest.raises(AslError, match="another asl serve has it open"),
            alone(tmp_path / "library"),
        ):
            pass
        with alone(tmp_path / "other"):
            pass
    with alone(tmp_path / "library"):
        pass


@contextmanager
def live(model: Path, library: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The service in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "asl",
        "serve",
        "--port",
        str(port),
        "--library",
        str(library),
        "--model",
        str(model),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            for _ in range(600):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            yield process, port
        finally:
            process.kill()


@pytest.mark.slow
def test_hostile_uploads_against_a_live_service(model: Path, tmp_path: Path) -> None:
    """One round of every kind; `scripts/hostile_uploads.py` without --count sends a thousand."""
    script = Path(__file__).resolve().parents[1] / "scripts" / "hostile_uploads.py"
    command = [
        sys.executable,
        str(script),
        "--count",
        "40",
        "--model",
        str(model),
        "--report",
        str(tmp_path / "r.json"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "r.json").read_text())
    assert (report["verdict"], report["uploads"], report["references_lost"]) == ("held", 40, 0)
    assert sum(report["answers"].values()) == 40


def test_a_library_that_was_made_with_other_regions_gets_its_parts(
    model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with CopyDetector(model, folder=tmp_path / "library", regions="none") as plain:
        plain.add(photos)
    told = []
    for _ in range(2):
        options = compose("serve", ["--library", str(tmp_path / "library"), "--model", str(model)])
        with open_detector(options) as detector:
            assert len(detector) == 7
        told.append("making what the library lacks" in capsys.readouterr().err)
    assert told == [True, False]
    with pytest.raises(SystemExit) as stopped:
        main(["--regions", "tiny", "--library", str(tmp_path / "other")])
    assert stopped.value.code == 2
    assert "coarse" in capsys.readouterr().err


@pytest.mark.parametrize("name", MODELS)
def test_a_library_of_an_earlier_default_is_served_with_its_model(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    library = tmp_path / "library"
    CopyDetector(name, folder=library).close()
    with open_detector(compose("serve", ["--library", str(library)])) as detector:
        assert detector.model == name
    told = f"{library} was made with {name}, which is used; a new library would use {MODEL}\n"
    assert capsys.readouterr().out == (told if name != MODEL else "")
    other = next(model for model in MODELS if model != name)
    options = compose("serve", ["--library", str(library), "--model", other])
    with pytest.raises(AslError, match=f"was made with {name}, not with {other}; give model="):
        open_detector(options)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--host", "0.0.0.0"], "--host 0.0.0.0: other machines could reach it"),
        (["--port", "-1"], "--port must be in 0..65535, got -1"),
        (["--port", "65536"], "--port must be in 0..65535, got 65536"),
        (["--max-megabytes", "0"], "--max-megabytes must be above 0, got 0"),
        (["--max-uploads", "-1"], "must be above 0"),
        (["--workers", "0"], "must be above 0"),
        (["--token-file", "nowhere"], "--token-file: 'nowhere' cannot be read"),
        (["--add", "nowhere"], "--add: there is no nowhere; check the path"),
        (["--library", "file"], "--library: file is a file, not a folder"),
        (["--regions", "tiny"], "regions: expected one of none, coarse, fine, got 'tiny'"),
    ],
)
def test_wrong_use_is_refused_before_anything_listens(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ASL_TOKEN", raising=False)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    (tmp_path / "file").touch()
    assert start("serve", [*(["--port", "0"] if "--port" not in words else []), *words]) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert len(printed.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("text", ["short", "with a space", "ünïcödé-token", "\n"])
def test_a_token_that_is_none_is_refused(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="6 or more ASCII characters"):
        read_token(tmp_path / "token")
    monkeypatch.delenv("ASL_TOKEN", raising=False)
    assert read_token(None) == ""


def test_a_free_port_is_found_and_an_unknown_host_is_named() -> None:
    with bound("127.0.0.1", 0) as listener:
        assert listener.getsockname()[1] > 0
    with pytest.raises(UsageError, match="--host not a host --port 0: there is no such address"):
        bound("not a host", 0)
