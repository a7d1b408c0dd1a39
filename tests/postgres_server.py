"""A PostgreSQL server with pgvector of the package ``pgserver``, which brings the programs."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_SECONDS = 60


def programs_folder() -> Path:
    """Find the programs; skip the test where they are missing or may not be run."""
    found = importlib.util.find_spec("pgserver")
    if found is None or found.origin is None:
        pytest.skip("PostgreSQL with pgvector is not installed: make server")
    programs = Path(found.origin).parent / "pginstall" / "bin"
    try:
        subprocess.run([programs / "initdb", "--version"], user=_user(), cwd="/", check=True)
    except PermissionError:
        pytest.skip(f"{_user()} may not run the programs of {programs}")
    return programs


def _user() -> str | None:
    return "nobody" if os.geteuid() == 0 else None


@contextlib.contextmanager
def running_postgres() -> Iterator[str]:
    """Start a server with its data in a temporary folder; yield its address, stop it at the end.

    PostgreSQL refuses to run as root, so that root runs it as ``nobody``, who may not enter the
    folders of pytest.
    """
    programs = programs_folder()
    user = _user()
    folder = Path(tempfile.mkdtemp(prefix="asl-postgres-"))
    try:
        folder.chmod(0o755)
        data = folder / "data"
        data.mkdir(mode=0o700)
        if user:
            shutil.chown(data, user)
        _run(
            [programs / "initdb", "-D", data, "-U", "asl", "-A", "trust", "-E", "UTF8"], user, data
        )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        settings = f"-p {port} -h 127.0.0.1 -k ''"
        control = [programs / "pg_ctl", "-D", data, "-w", "-t", str(_SECONDS)]
        _run([*control, "-l", data / "log", "-o", settings, "start"], user, data)
        try:
            yield f"postgresql://asl@127.0.0.1:{port}/postgres"
        finally:
            _run([*control, "-m", "fast", "stop"], user, data)
    finally:
        shutil.rmtree(folder)


def _run(command: list[str | Path], user: str | None, folder: Path) -> None:
    with (folder.parent / "printed").open("wb") as printed:
        subprocess.run(
            command,
            user=user,
            cwd="/",
            stdout=printed,
            stderr=printed,
            check=True,
            timeout=_SECONDS,
        )
