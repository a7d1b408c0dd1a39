from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the service needs `pip install asl-icd[serve]`")
from fastapi.testclient import TestClient

from asl.app.detector import CopyDetector
from asl.models import Embedder
from tests.app.conftest import encode, textured
from tests.app.service.conftest import JPEG, serving


def test_other_sites_and_other_names_are_turned_away(client: TestClient) -> None:
    for headers in (
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        answer = client.get("/references", headers=headers)
        assert answer.status_code == 403, headers
    assert (
        client.get(
            "/references", headers={"Origin": "http://127.0.0.1", "Sec-Fetch-Site": "same-origin"}
        ).status_code
        == 200
    )
    assert client.get("/references", headers={"Host": "localhost:8765"}).status_code == 200


@pytest.mark.parametrize("host", ["[", "]", "[::1", "::1]", "[]", "a b", "", "\xff"])
@pytest.mark.parametrize("token", ["", "open-sesame"])
def test_a_malformed_host_or_origin_is_turned_away(
    embedder: Embedder, folder: Path, host: str, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(embedder, folder, token=token) as client:
        for headers in ({"Host": host}, {"Origin": f"http://{host}"}):
            encoded = {name: value.encode("latin-1") for name, value in headers.items()}
            assert client.get("/health", headers=encoded).status_code == 403, headers
    assert not caplog.records, "no traceback in the log"


def test_a_full_disk_is_507(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorname = "SQLITE_FULL"
    for error, status in (
        (full, 507),
        (OSError(errno.ENOSPC, "No space left on device"), 507),
        (sqlite3.OperationalError("database is locked"), 500),
    ):

        def fail(*_: object, error: Exception = error, **__: object) -> object:
            raise error

        monkeypatch.setattr(CopyDetector, "add_sources", fail)
        answer = client.post("/references", content=encode(textured(0)), headers=JPEG)
        assert answer.status_code == status
        assert "library" not in answer.text


def test_methods_that_a_path_does_not_have_are_named(client: TestClient) -> None:
    for path, allowed in (
        ("/references", "GET, HEAD, POST"),
        (f"/references/{'0' * 32}", "DELETE, GET, HEAD"),
        ("/search", "POST"),
        ("/health", "GET, HEAD"),
    ):
        answer = client.patch(path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed), path
    for path in ("/health", "/ready"):
        answer = client.head(path)
        assert (answer.status_code, answer.content) == (200, b""), path


def test_a_token_is_asked_for(embedder: Embedder, folder: Path) -> None:
    with serving(embedder, folder, token="open-sesame") as client:
        for route in ("/references", "/metrics"):
            answer = client.get(route)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), (
                route
            )
            assert (
                client.get(route, headers={"Authorization": "Bearer open-sesam"}).status_code == 401
            )
            assert (
                client.get(route, headers={"Authorization": "Bearer open-sesame"}).status_code
                == 200
            )
            assert (
                client.get(route, headers={"Authorization": "bearer  open-sesame"}).status_code
                == 200
            )
            assert (
                client.get(route, headers={"Authorization": "Basic open-sesame"}).status_code == 401
            )
        assert client.post("/search", content=encode(textured(0)), headers=JPEG).status_code == 401
        for route in ("/", "/health", "/ready", "/docs"):
            assert client.get(route).status_code == 200
        assert 'href="openapi.json"' in client.get("/docs").text
        described = client.get("/openapi.json").json()  # the page links it, without the token
        assert described["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
        assert described["paths"]["/v1/search"]["post"]["security"] == [{"HTTPBearer": []}]
        assert client.get("/ready").json() == {"status": "ready", "token": True}, (
            "nothing of the images"
        )
        told = client.get("/ready", headers={"Authorization": "Bearer open-sesame"}).json()
        assert told == {"status": "ready", "references": 0, "token": True}


def test_a_host_is_known_in_capitals_too(embedder: Embedder, folder: Path) -> None:
    with serving(embedder, folder, hosts=("127.0.0.1", "Photos.LAN")) as client:
        for host, status in (
            ("photos.lan:8765", 200),
            ("PHOTOS.lan", 200),
            ("photos.lan.evil", 403),
        ):
            assert client.get("/references", headers={"Host": host}).status_code == status, host
