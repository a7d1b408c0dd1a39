"""The page's interface: who may use it, and what it does."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the page needs `pip install asl-icd[serve]`")
from fastapi.testclient import TestClient
from PIL import Image

from asl.app.reviewing.review_routes import create_review_app
from asl.app.reviewing.review_session import ReviewSession
from asl.app.service.guard import ServiceOptions
from tests.app.reviewing.scan_results import SavedScan

TOKEN = {"Authorization": "Bearer open-sesame"}


@pytest.fixture
def client(saved: SavedScan) -> Iterator[TestClient]:
    app = create_review_app(
        ReviewSession(saved.folder),
        ServiceOptions(token="open-sesame"),
        thumbnail=lambda digest: digest.encode(),
    )
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        client.headers.update(TOKEN)
        yield client


def number(client: TestClient, name: str) -> int:
    files = client.get("/review").json()["files"]
    return next(place for place, file in enumerate(files) if file["name"] == name)


def test_nothing_is_said_without_the_token_or_to_other_sites(client: TestClient) -> None:
    strangers = (
        {"Authorization": "Bearer wrong-token"},
        {**TOKEN, "Origin": "http://evil.example"},
        {**TOKEN, "Sec-Fetch-Site": "cross-site"},
        {**TOKEN, "Host": "evil.example"},
    )
    paths = [
        ("GET", path) for path in ("/review", "/plan", "/question", "/thumbnail/0", "/picture/0")
    ]
    paths += [
        ("POST", path) for path in ("/decide", "/rule", "/mark", "/undo", "/apply", "/put-back")
    ]
    for method, path in paths:
        for headers in strangers:
            answer = client.request(method, path, headers=headers, json={})
            assert answer.status_code in (401, 403), (path, headers)
    page = client.get("/", headers={"Authorization": ""})
    assert page.status_code == 200
    assert "script-src 'sha256-" in page.headers["content-security-policy"]
    assert "crop of 0" not in page.text, "the page itself holds no data"
    assert client.get("/openapi.json").status_code == 404


def test_decide_rule_mark_and_undo(client: TestClient) -> None:
    small = number(client, "small-1.png")
    state = client.post("/decide", json={"files": [small], "keep": False}).json()
    assert state["decisions"] == {str(small): [False, "hand"]}
    everything = list(range(len(client.get("/review").json()["files"])))
    state = client.post("/rule", json={"rule": "keep-original", "files": everything}).json()
    assert (state["going"], state["staying"]) == (3, 4)
    collage = number(client, "collage.png")
    assert state["doubts"] == {str(collage): "shows more than the file that stays"}
    assert state["left"] == "1 left to you (1: shows more than the file that stays)"
    assert state["decisions"][str(number(client, "p2 (1).jpg"))] == [False, "keep-original"]
    crop, root = number(client, "sub/crop of 0.jpg"), number(client, "p0.jpg")
    body = {"first": root, "second": crop, "mark": "not a copy"}
    review = client.post("/mark", json=body).json()
    assert all(crop not in [m[0] for m in group["members"]] for group in review["groups"])
    assert [pair["mark"] for pair in review["pairs"]].count("not a copy") == 1
    for undone in (True, True, True, False):
        assert client.post("/undo", json={}).json()["undone"] is undone


def test_the_folder_of_a_rule_is_relative_to_the_photos(client: TestClient) -> None:
    files = list(range(len(client.get("/review").json()["files"])))
    state = client.post(
        "/rule", json={"rule": "keep-folder", "folder": "sub", "files": files}
    ).json()
    crop = number(client, "sub/crop of 0.jpg")
    assert state["decisions"][str(crop)] == [True, "keep-folder"]
    assert client.post("/rule", json={"rule": "keep-folder", "files": files}).status_code == 422


def test_move_and_put_back(client: TestClient, saved: SavedScan, trash: Path) -> None:
    client.post("/decide", json={"files": [number(client, "small-1.png")], "keep": False})
    plan = client.get("/plan").json()
    assert [os.path.basename(move[0]) for move in plan["moves"]] == ["small-1.png"]
    wrong = client.post("/apply", json={"code": "0"})
    assert wrong.status_code == 422
    assert "not the one that was confirmed" in wrong.json()["error"]
    done = client.post("/apply", json={"code": plan["code"]}).json()
    assert (done["moved"], done["refused"], done["can_put_back"]) == (1, [], True)
    assert done["files"][number(client, "small-1.png")]["gone"]
    assert not (saved.photos / "small-1.png").exists()
    back = client.post("/put-back", json={}).json()
    assert (back["restored"], back["can_put_back"]) == (1, False)
    assert (saved.photos / "small-1.png").exists()
    assert client.post("/put-back", json={}).status_code == 422


def test_a_script_is_written_beside_the_scan(client: TestClient, saved: SavedScan) -> None:
    client.post("/decide", json={"files": [number(client, "small-1.png")], "keep": False})
    plan = client.get("/plan").json()
    done = client.post("/apply", json={"code": plan["code"], "how": "script"}).json()
    assert Path(done["script"]) == saved.folder / "remove.sh"
    assert "small-1.png" in (saved.folder / "remove.sh").read_text()
    assert (saved.photos / "small-1.png").exists()


def test_pictures_come_at_full_size_by_number_only(client: TestClient) -> None:
    answer = client.get(f"/picture/{number(client, 'collage.png')}")
    with Image.open(io.BytesIO(answer.content)) as image:
        assert (image.format, image.size) == ("JPEG", (600, 150))
    assert len(client.get("/thumbnail/0").content) == 64, "the digest, which the test gives back"
    assert client.get("/thumbnail/99").status_code == 404
    assert client.get("/picture/99").status_code == 422
    for path in ("/picture/..%2f..%2fetc%2fpasswd", "/thumbnail/x", "/picture/-1"):
        assert client.get(path).status_code in (404, 422), path


def test_wrong_bodies_are_refused(client: TestClient) -> None:
    for path, body in (
        ("/decide", {"files": [99], "keep": False}),
        ("/decide", {"files": "all", "keep": False}),
        ("/decide", {"files": [0], "keep": False, "path": "/etc/passwd"}),
        ("/rule", {"rule": "remove-all", "files": []}),
        ("/mark", {"first": 0, "second": 1, "mark": "maybe"}),
        ("/apply", {"code": "x", "how": "delete"}),
    ):
        answer = client.post(path, json=body)
        assert answer.status_code == 422, (path, body)
        assert answer.json()["error"]
    assert client.get("/review?x=1").status_code == 400


def test_the_questions_hide_nothing_and_count(client: TestClient) -> None:
    answer = client.get("/question").json()
    review = client.get("/review").json()
    pair = review["pairs"][answer["pair"]]
    assert answer["calibration"] == {"answers": 0, "least": 10}
    body = {"first": pair["original"], "second": pair["copy"], "mark": "copy", "asked": True}
    assert client.post("/mark", json=body).json()["calibration"]["answers"] == 1
    assert client.get("/question").json()["pair"] != answer["pair"]
