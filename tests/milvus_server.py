"""A Milvus server of the package ``milvus``, which brings the program, on ports of its own."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_SECONDS_TO_WAIT = 30  # for the end of a server
_SETTINGS = {
    "common.gracefulStopTimeout": 3,  # seconds; half an hour otherwise
    "common.session.ttl": 3,  # seconds that a start waits for the end of the last server's lease
}


class MilvusProcess:
    """One server with its data in a folder; it may be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        """Prepare a server; nothing is started."""
        self._folder = folder
        self._server: Any = None

    @property
    def address(self) -> str:
        """Of the server, for ``milvus+ADDRESS``; another one after each start."""
        return f"http://127.0.0.1:{self._server.listen_port}"

    def start(self) -> None:
        """Start the server on free ports and wait until it answers."""
        from milvus import MilvusServer, MilvusServerConfig

        config = MilvusServerConfig(data_dir=str(self._folder))
        names = [name for name in config.configurable_items if name.endswith("_port")]
        config.update(**dict(zip(names, _free_ports(len(names)), strict=True)))
        for key, value in _SETTINGS.items():
            config.set(key, value)
        self._server = MilvusServer(config)
        # Its template of the settings lacks this one.
        with _present_folder(), _environment("ETCD_CONFIG_PATH", str(self._etcd_settings())):
            self._server.start()

    def _etcd_settings(self) -> Path:
        """Write the settings of the etcd inside the server, once: its ports belong to its data.

        Without them it takes 2379 and 2380, whoever else has them.
        """
        path = self._folder / "etcd.yaml"
        if not path.exists():
            clients, peers = (f"http://127.0.0.1:{port}" for port in _free_ports(2))
            path.write_text(
                f"name: default\nlisten-client-urls: {clients}\nadvertise-client-urls: {clients}\n"
                f"listen-peer-urls: {peers}\ninitial-advertise-peer-urls: {peers}\n"
                f"initial-cluster: default={peers}\n"
            )
        return path

    def stop(self) -> None:
        """End the server as an administrator would; the package's own way kills it after 1 s."""
        process: subprocess.Popen[bytes] = self._server.server_proc
        process.terminate()
        try:
            process.wait(_SECONDS_TO_WAIT)
        finally:
            self._server.stop()


@contextlib.contextmanager
def _present_folder() -> Iterator[None]:
    """Come back to this folder, which the package leaves where the server does not start."""
    folder = Path.cwd()
    try:
        yield
    finally:
        os.chdir(folder)


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """Set a variable of the environment for programs that are started here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(name, value)
        yield


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
