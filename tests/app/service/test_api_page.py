"""The page that describes the interface: everything of the description, nothing from elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the service needs `pip install asl-icd[serve]`")
from fastapi.testclient import TestClient

from asl.models import Embedder
from tests.app.browser import Browser
from tests.app.service.conftest import serving


def test_the_page_names_every_operation_and_type(embedder: Embedder, folder: Path) -> None:
    with serving(embedder, folder, token="open-sesame") as client:
        answer = client.get("/docs")
        assert answer.status_code == 200, "a browser cannot send the token with an address"
        described = client.get("/openapi.json").json()
    page = answer.text
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            assert f">{method.upper()}</span> <code>{path}</code>" in page
            assert operation["summary"] in page
    for name in described["components"]["schemas"]:
        assert f'id="{name}"' in page
    assert "Bearer TOKEN" in page
    assert page.count('class="tag">token') == 9, "health and ready are open"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert "<script" not in page
    assert "http:" not in page
    assert "https:" not in page


def test_without_a_token_the_page_asks_for_none(client: TestClient) -> None:
    page = client.get("/docs").text
    assert "TOKEN" not in page
    assert "1 to 100 files" in page


def test_the_page_in_a_browser(client: TestClient, tmp_path: Path) -> None:
    (tmp_path / "docs.html").write_text(client.get("/docs").text)
    with Browser(tmp_path) as browser:
        browser.open((tmp_path / "docs.html").as_uri(), width=390)
        wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        assert not browser.run(wide), "no sideways scrolling on a small screen"
        assert browser.problems == []
