from __future__ import annotations

import threading
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the service needs `pip install asl-icd[serve]`")
from fastapi.testclient import TestClient

from asl.app.detector import CopyDetector
from asl.app.service.guard import ServiceOptions
from asl.app.service.routes import create_app
from asl.data.images import ImageError
from asl.models import Embedder
from tests.app.conftest import crop, encode, textured
from tests.app.service.conftest import JPEG, LIMIT, add, serving


def test_add_search_list_remove(client: TestClient) -> None:
    whole = encode(textured(0), quality=95)
    reply = add(client, whole, "whole.jpg")
    assert reply["new"]
    told = {"label": "whole.jpg", "width": 400, "height": 300, "bytes": len(whole)}
    assert reply["reference"] == {"id": reply["reference"]["id"], **told}
    again = client.post("/references", content=whole, headers=JPEG)
    assert (again.status_code, again.json()["new"]) == (200, False)
    add(client, encode(textured(1)), "other.jpg")
    found = client.post("/search", content=encode(crop(textured(0))), headers=JPEG).json()
    assert (found["references"], found["compared"]) == (2, 2)
    (match,) = found["matches"]
    assert match["reference"]["label"] == "whole.jpg"
    assert match["direction"] == "reference->query"
    assert match["probability"] > 0.5
    assert match["accepted"] == (match["probability"] >= found["threshold"])
    assert len(match["reference_outline"]) >= 3
    everything = client.post(
        "/search?min_probability=0&k=1", content=encode(textured(0)), headers=JPEG
    ).json()
    assert len(everything["matches"]) == 2, "one by embeddings, the other by local features"
    listed = client.get("/references?limit=1&offset=1").json()
    assert (listed["total"], [item["label"] for item in listed["references"]]) == (2, ["other.jpg"])
    name = reply["reference"]["id"]
    assert client.get(f"/references/{name}").json() == reply["reference"]
    picture = client.get(f"/references/{name}/picture")
    assert (picture.headers["content-type"], picture.content[:2]) == ("image/jpeg", b"\xff\xd8")
    assert client.delete(f"/references/{name}").status_code == 204
    assert client.delete(f"/references/{name}").status_code == 404
    assert client.get(f"/references/{name}/picture").status_code == 404
    assert (
        client.post("/search", content=encode(crop(textured(0))), headers=JPEG).json()["matches"]
        == []
    )


def test_a_restart_keeps_everything(embedder: Embedder, folder: Path) -> None:
    with serving(embedder, folder) as client:
        name = add(client, encode(textured(0)), "whole.jpg")["reference"]["id"]
    # The first one was not even closed: what was acknowledged is on the disk.
    with serving(embedder, folder) as client:
        assert client.get(f"/references/{name}").json()["label"] == "whole.jpg"
        assert (
            len(
                client.post("/search", content=encode(crop(textured(0))), headers=JPEG).json()[
                    "matches"
                ]
            )
            == 1
        )


def test_the_description_has_every_answer_of_an_upload(client: TestClient) -> None:
    described = client.get("/openapi.json").json()
    answers = described["paths"]["/v1/references"]["post"]["responses"]
    for code in ("200", "201"):
        schema = answers[code]["content"]["application/json"]["schema"]
        assert schema == {"$ref": "#/components/schemas/AddReply"}
    assert {"401", "403", "405", "413", "507"} <= set(answers)
    assert "head" not in described["paths"]["/health"]


def test_references_are_found_by_their_label(client: TestClient) -> None:
    for seed, label in enumerate(("Holiday 1.jpg", "holiday 2.jpg", "cat.jpg")):
        add(client, encode(textured(seed, 60, 80)), label)
    answer = client.get("/references?label=HOLIDAY&limit=1").json()
    assert (answer["total"], [item["label"] for item in answer["references"]]) == (
        2,
        ["Holiday 1.jpg"],
    )


def test_cheap_requests_do_not_wait_for_searches(
    embedder: Embedder, folder: Path, monkeypatch
) -> None:  # type: ignore[no-untyped-def]
    begun, go = threading.Event(), threading.Event()

    def search(*_: object, **__: object) -> list[object]:
        begun.set()
        assert go.wait(60)
        return []

    monkeypatch.setattr(CopyDetector, "query", search)
    with serving(embedder, folder, workers=1) as client:
        name = add(client, encode(textured(0)))["reference"]["id"]
        body = encode(textured(1))
        threads = [
            threading.Thread(
                target=client.post, args=("/search",), kwargs={"content": body, "headers": JPEG}
            )
        ]
        threads[0].start()
        try:
            assert begun.wait(60)
            answers: list[int] = []

            def ask() -> None:
                for route in (
                    "/ready",
                    "/references",
                    f"/references/{name}",
                    f"/references/{name}/picture",
                ):
                    answers.append(client.get(route).status_code)

            threads.append(threading.Thread(target=ask))
            threads[1].start()
            threads[1].join(20)
            assert answers == [200] * 4, "the only worker is searching"
        finally:
            go.set()
            for thread in threads:
                thread.join()


def test_only_too_many_pixels_are_too_large(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> object:
        raise ImageError("corrupt or truncated: 12 pixels are missing")

    monkeypatch.setattr("asl.app.library.ingest.decode_image", refuse)
    for route in ("/references", "/search"):
        assert client.post(route, content=b"x", headers=JPEG).status_code == 422


def test_health_and_description(client: TestClient) -> None:
    assert client.get("/health").json()["status"] == "ok"
    assert client.get("/nowhere").json() == {
        "error": "there is no such path; /docs lists the paths"
    }
    wrong = client.put("/v1/search")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert wrong.json()["error"].startswith("the path does not take this method; /docs")
    described = client.get("/openapi.json").json()
    assert set(described["paths"]) >= {
        "/v1/references",
        "/v1/references/{id}",
        "/v1/search",
        "/health",
        "/ready",
        "/metrics",
    }
    assert "image/*" in described["paths"]["/v1/search"]["post"]["requestBody"]["content"]
    page = client.get("/")
    assert "script-src 'sha256-" in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    assert "https://" not in page.text


def test_adds_and_searches_at_once_agree(client: TestClient) -> None:
    images = [encode(textured(seed, 120, 160)) for seed in range(12)]
    problems: list[str] = []

    def work(part: int) -> None:
        for data in images[part::4]:
            name = add(client, data)["reference"]["id"]
            found = client.post("/search", content=data, headers=JPEG).json()["matches"]
            if name not in [match["reference"]["id"] for match in found]:
                problems.append(f"{name} was added and not found")

    threads = [threading.Thread(target=work, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert client.get("/references").json()["total"] == 12


def test_parts_of_the_references_are_searched(embedder: Embedder) -> None:
    """The nearest whole image is another one: the region makes the photo the first candidate."""
    client = TestClient(
        create_app(CopyDetector(embedder, local_candidates=0), ServiceOptions()),
        base_url="http://127.0.0.1",
    )
    for seed in range(12):
        add(client, encode(textured(seed), "PNG"), f"n{seed}")
    query = encode(textured(5)[: int(0.7 * 300), : int(0.7 * 400)], "PNG")
    (match,) = client.post("/search?k=1&min_probability=0", content=query, headers=JPEG).json()[
        "matches"
    ]
    assert match["reference"]["label"] == "n5"


def test_a_misspelt_parameter_is_refused(client: TestClient) -> None:
    """Ignored, `min_prob=0` would look like an empty library."""
    answer = client.post("/search?min_prob=0", content=encode(textured(0)), headers=JPEG)
    assert answer.status_code == 400
    assert answer.json() == {
        "error": "there is no parameter 'min_prob'; known are k, min_probability"
    }
    assert client.get("/metrics?a=1").json() == {
        "error": "there is no parameter 'a'; there are none here"
    }
    assert client.get("/health?a=1").status_code == 200


def test_an_image_may_come_as_a_form(client: TestClient) -> None:
    data = encode(textured(0), quality=95)
    added = client.post("/v1/references", files={"image": ("holiday/0.jpg", data)})
    assert (added.status_code, added.json()["reference"]["label"]) == (201, "0.jpg")
    again = client.post("/v1/references?label=y", content=data, headers=JPEG)
    assert (again.status_code, again.json()["new"]) == (200, False)
    form = {"image": ("cut.jpg", encode(crop(textured(0))))}
    (match,) = client.post("/v1/search", files=form).json()["matches"]
    assert match["reference"]["label"] == "0.jpg"
    two = [("image", ("a.jpg", data)), ("image", ("b.jpg", data))]
    assert client.post("/v1/search", files=two).status_code == 413
    assert client.post("/v1/references", files={"image": ("a.jpg", b"x")}).status_code == 422


def test_a_batch_answers_each_image(client: TestClient) -> None:
    add(client, encode(textured(0), quality=95), "whole.jpg")
    files = [
        ("images", ("cut.jpg", encode(crop(textured(0))))),
        ("images", ("broken.jpg", b"no image")),
        ("images", ("whole.jpg", encode(textured(0), quality=95))),
    ]
    reply = client.post("/v1/search/batch?k=5", files=files).json()
    assert (reply["searched"], reply["failed"], reply["references"]) == (2, 1, 1)
    assert [answer["name"] for answer in reply["answers"]] == [
        *("cut.jpg", "broken.jpg", "whole.jpg")
    ]
    errors = [answer["error"] for answer in reply["answers"]]
    assert errors[0] is errors[2] is None
    assert errors[1].startswith("no usable image: ")
    alone = client.post("/v1/search?k=5", content=files[0][1][1], headers=JPEG).json()
    assert reply["answers"][0]["matches"] == alone["matches"]
    assert reply["answers"][1]["matches"] == []


def test_a_batch_is_bounded(embedder: Embedder, folder: Path) -> None:
    image = encode(textured(0, 60, 80))
    with serving(embedder, folder) as client:
        many = [("images", (f"{number}.jpg", b"x")) for number in range(101)]
        refused = client.post("/v1/search/batch", files=many)
        assert (refused.status_code, "100 files at most" in refused.text) == (413, True)
        large = [("images", (f"{number}.jpg", b"x" * 190_000)) for number in range(5)]
        assert client.post("/v1/search/batch", files=large).status_code == 413
        assert client.post("/v1/search/batch", content=image, headers=JPEG).status_code == 415
    with serving(embedder, folder / "other", seconds=0.0) as client:
        files = [("images", ("a.jpg", image))]
        assert client.post("/v1/search/batch", files=files).status_code == 408


def test_a_form_that_never_fits_is_too_large_and_not_to_be_tried_again(
    embedder: Embedder, folder: Path
) -> None:
    with serving(embedder, folder, max_uploads=1) as client:
        two = [("images", (f"{number}.jpg", b"x" * 190_000)) for number in range(2)]
        assert client.post("/v1/search/batch", files=two).status_code == 413
        largest = {"image": ("0.jpg", b"x" * LIMIT)}
        assert client.post("/v1/search", files=largest).status_code == 422, "no image, but it fits"


def test_images_of_a_batch_that_takes_too_long_are_named(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asl.app.service.routes.BATCH_SECONDS", -1.0)
    files = [("images", (f"{number}.jpg", encode(textured(0, 60, 80)))) for number in range(2)]
    reply = client.post("/v1/search/batch", files=files).json()
    assert (reply["searched"], reply["failed"]) == (0, 2)
    assert all("send it again" in answer["error"] for answer in reply["answers"])


def test_lookup_answers_as_hma_does(client: TestClient) -> None:
    photo = {"photo": ("p.jpg", encode(textured(0)))}
    assert client.post("/m/lookup", files=photo).json() == {"asl": []}
    add(client, encode(textured(0)))
    assert client.post("/m/lookup", files=photo).json() == {"asl": ["references"]}
    assert client.post("/m/lookup", content=encode(textured(0)), headers=JPEG).status_code == 415
    assert client.get("/m/lookup?url=http://127.0.0.1/x.jpg").status_code == 405, "nothing fetched"


def test_labels_are_compared_beside_the_event_loop(
    embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = CopyDetector(embedder, precision=0.6)
    labelled, threads = detector.labelled, []

    def noted(text: str) -> list[str]:
        threads.append(threading.current_thread().name)
        return labelled(text)

    monkeypatch.setattr(detector, "labelled", noted)
    with TestClient(create_app(detector, ServiceOptions()), base_url="http://127.0.0.1") as client:
        add(client, encode(textured(0)), "harbour.jpg")
        assert client.get("/references?label=HARB").json()["total"] == 1
        assert client.get("/references?label=none").json()["total"] == 0
    assert all("worker" in name for name in threads)
    assert len(threads) == 2
