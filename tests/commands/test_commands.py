"""A command that the server starts acts as one of a fresh interpreter."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = """
import os, sys
mask = os.umask(0)
print(__name__, sys.argv, sys.path[0], os.getcwd(), os.environ["ASL_TEST"], mask)
print(sys.modules["__main__"].__dict__.get("__file__"), sys.stdin.read(), sys.stdout.isatty())
print("said", file=sys.stderr)
sys.exit(int(sys.argv[1]))
"""
SLEEPER = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
print(__import__("os").getpid(), flush=True)
time.sleep(100)
"""
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no server")


def loaded(commands: Path, *options: str, **environment: str) -> bool:
    """Whether a command finds the libraries in its memory."""
    code = "import sys; print('torch' in sys.modules)"
    words = [commands / "python", *options, "-c", code]
    done = subprocess.run(words, env=os.environ | environment, capture_output=True, check=True)
    return {b"True\n": True, b"False\n": False}[done.stdout]


@pytest.mark.slow
@pytest.mark.parametrize("words", [["-c", PROGRAM], ["-m", "program"], ["folder/script.py"]])
@pytest.mark.parametrize("code", ["0", "3"])
def test_a_command_sees_what_it_would_see_of_its_own(
    words: list[str], code: str, commands: Path, tmp_path: Path
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "script.py").write_text(PROGRAM)
    done = [
        subprocess.run(
            [program, *words, code, "two words"],
            cwd=tmp_path,
            input=b"typed",
            env=os.environ | {"ASL_TEST": "ä b"},
            capture_output=True,
            umask=0o77,
        )
        for program in (commands / "python", sys.executable)
    ]
    assert done[0].returncode == int(code)
    forked, fresh = [(one.returncode, one.stdout, one.stderr) for one in done]
    assert forked == fresh


@pytest.mark.slow
def test_the_libraries_are_loaded_unless_a_fresh_start_would_differ(commands: Path) -> None:
    assert loaded(commands)
    assert not loaded(commands, OMP_NUM_THREADS="7")
    assert not loaded(commands, PYTHONHASHSEED="7")
    assert not loaded(commands, "-B")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGTERM, 5),
        (signal.SIGINT, -signal.SIGINT),
        (signal.SIGHUP, -signal.SIGHUP),
        (signal.SIGKILL, -signal.SIGKILL),
    ],
)
def test_signals_reach_the_command_and_its_end_reaches_the_caller(
    number: signal.Signals, code: int, commands: Path
) -> None:
    words = [commands / "python", "-c", SLEEPER]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        command = int(process.stdout.readline())
        process.send_signal(number)
        assert process.wait(60) == code
        assert process.stdout.read() == b"", "the command has ended and holds no stream"
    deadline = time.monotonic() + 20
    while Path(f"/proc/{command}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.slow
def test_a_command_that_is_killed_tells_its_caller(commands: Path) -> None:
    words = [commands / "python", "-c", SLEEPER]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        os.kill(int(process.stdout.readline()), signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize(
    "ending", ["", "sys.exit()", "sys.exit(258)", "sys.exit('told')", "raise KeyboardInterrupt"]
)
def test_threads_and_what_is_left_for_the_end_are_waited_for(ending: str, commands: Path) -> None:
    code = f"""
import atexit, sys, tempfile, threading, time
folder = tempfile.TemporaryDirectory()
print(folder.name)
atexit.register(print, "the end")
threading.Thread(target=lambda: [time.sleep(0.2), print("a thread")]).start()
{ending}
"""
    done = [
        subprocess.run([program, "-c", code], capture_output=True, text=True)
        for program in (commands / "python", sys.executable)
    ]
    assert done[0].returncode == done[1].returncode
    for one in done:
        name, *printed = one.stdout.splitlines()
        assert printed == ["a thread", "the end"]
        assert not Path(name).exists()
        assert ("told" in one.stderr) == ("told" in ending)


@pytest.mark.slow
def test_asl_is_the_installed_command(commands: Path) -> None:
    done = subprocess.run([commands / "asl", "no-such-verb"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "no-such-verb" in done.stderr
