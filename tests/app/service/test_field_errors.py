"""A wrong field is named in words of our own: what is wrong, what arrived, what to do."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest

pytest.importorskip("fastapi", reason="the service needs `pip install asl-icd[serve]`")
from fastapi import FastAPI, Query
from fastapi.testclient import TestClient
from pydantic import BaseModel, ConfigDict, Field

from asl.app.service.guard import explain_errors
from asl.app.service.routes import Candidates, Id, Label, Least


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")
    files: list[int] = Field(max_length=2)
    keep: bool | None
    how: Literal["trash", "script"] = "trash"
    name: str = ""


@pytest.fixture(scope="module")
def client() -> TestClient:
    app = FastAPI()
    explain_errors(app)

    @app.get("/items/{id}")
    def get(
        id: Id,
        k: Candidates = 1,
        least: Least = None,
        label: Label = "",
        offset: Annotated[int, Query(ge=0)] = 0,
    ) -> None: ...

    @app.post("/items")
    def post(body: _Body) -> None: ...

    return TestClient(app)


KNOWN = "0" * 32


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (f"{KNOWN}?k=0", "k: must be 1 or more, got 0; give a larger number"),
        (f"{KNOWN}?k=101", "k: must be 100 or less, got 101; give a smaller number"),
        (f"{KNOWN}?k=ten", "k: must be a whole number, got ten; give one such as 10"),
        (f"{KNOWN}?k=", "k: must be a whole number, got nothing; give one such as 10"),
        (f"{KNOWN}?k=" + "9" * 5000, "k: must be a whole number, got 9999"),
        (f"{KNOWN}?least=1.5", "least: must be 1 or less, got 1.5; give a smaller number"),
        (f"{KNOWN}?least=nan", "least: must be"),
        (f"{KNOWN}?least=0,5", "least: must be a number, got 0,5; write it with a point"),
        (f"{KNOWN}?offset=-1", "offset: must be 0 or more, got -1; give a larger number"),
        (f"{KNOWN}?label={'x' * 1001}", "label: must be 1000 characters or fewer, got 1001; short"),
        ("XY", "id: must be the 32 digits 0-9, a-f of a reference, got XY; GET /v1/references"),
    ],
)
def test_a_wrong_parameter_is_explained(client: TestClient, path: str, said: str) -> None:
    answer = client.get(f"/items/{path}")
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(said)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{", "body: must be JSON, but is not ("),
        ("[]", "body: must be a JSON object, got []; send one"),
        ('{"keep": true}', "files: is missing; send it"),
        ('{"files": 1, "keep": true}', "files: must be a list, got 1; put it in brackets"),
        ('{"files": ["x"], "keep": true}', "files.0: must be a whole number, got x; give one"),
        ('{"files": [0.5], "keep": true}', "files.0: must be a whole number, got 0.5; give one"),
        ('{"files": [1, 2, 3], "keep": true}', "files: must have 2 entries or fewer, got 3; send"),
        ('{"files": [], "keep": "maybe"}', "keep: must be true or false, got maybe; give one"),
        ('{"files": [], "keep": null, "path": "p"}', "path: is no field of this request, got p;"),
        ('{"files": [], "keep": null, "how": "x"}', "how: must be 'trash' or 'script', got x; giv"),
        ('{"files": [], "keep": null, "name": 1}', "name: must be text, got 1; put it in quotes"),
    ],
)
def test_a_wrong_body_is_explained(client: TestClient, body: str, said: str) -> None:
    answer = client.post("/items", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(said)
