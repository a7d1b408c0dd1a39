"""Paths with and without /v1, described once; HEAD where there is GET."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi", reason="the service needs `pip install asl-icd[serve]`")
from fastapi.testclient import TestClient

from tests.app.conftest import encode, textured
from tests.app.service.conftest import JPEG, add


def test_both_paths_give_the_same_answers(client: TestClient) -> None:
    name = add(client, encode(textured(0)), "x.jpg")["reference"]["id"]
    for path in ("/references", f"/references/{name}", f"/references/{name}/picture"):
        old, new = client.get(path), client.get(f"/v1{path}")
        assert (old.status_code, old.content) == (200, new.content)
    body = encode(textured(0))
    answers = [
        client.post(path, content=body, headers=JPEG).json() for path in ("/search", "/v1/search")
    ]
    assert answers[0] == answers[1]
    assert client.delete(f"/v1/references/{name}").status_code == 204


def test_the_description_lists_each_operation_once(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert list(paths) == [
        "/health",
        "/ready",
        "/metrics",
        "/v1/search",
        "/v1/search/batch",
        "/v1/references",
        "/v1/references/{id}",
        "/v1/references/{id}/picture",
        "/m/lookup",
    ]
    assert all("head" not in methods for methods in paths.values())


def test_head_is_answered_where_get_is(client: TestClient) -> None:
    name = add(client, encode(textured(0)))["reference"]["id"]
    for path in (
        *("/", "/docs", "/health", "/ready", "/metrics", "/openapi.json", "/references"),
        *("/v1/references", f"/v1/references/{name}", f"/v1/references/{name}/picture"),
    ):
        got, head = client.get(path), client.head(path)
        assert head.status_code == 200, path
        assert head.headers["content-type"] == got.headers["content-type"]
    assert client.head(f"/v1/references/{'0' * 32}").status_code == 404
    assert client.head("/v1/search").status_code == 405
