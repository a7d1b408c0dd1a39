from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the service needs `pip install asl-icd[serve]`")
from fastapi.testclient import TestClient

from asl.app.detector import CopyDetector
from asl.app.service.guard import ServiceOptions
from asl.app.service.routes import create_app
from asl.models import Embedder

LIMIT = 200_000  # bytes of an upload
JPEG = {"Content-Type": "image/jpeg"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "library"


@pytest.fixture
def client(embedder: Embedder, folder: Path) -> Iterator[TestClient]:
    with serving(embedder, folder) as client:
        yield client


def serving(embedder: Embedder, folder: Path, **options: object) -> TestClient:
    detector = CopyDetector(embedder, folder=folder, precision=0.6, max_pixels=1_000_000)
    app = create_app(detector, ServiceOptions(max_bytes=LIMIT, **options))  # type: ignore[arg-type]
    return TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)


def add(client: TestClient, data: bytes, label: str = "") -> dict:
    answer = client.post("/references", content=data, headers=JPEG, params={"label": label})
    assert answer.status_code in (200, 201), answer.text
    return answer.json()
