from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the service needs `pip install asl-icd[serve]`")
from fastapi.testclient import TestClient

from asl.app.detector import CopyDetector
from asl.console.entry import compose
from asl.data.images import ImageError
from asl.models import Embedder
from asl.serve import address, alone, bound, check_exposure, main, open_detector, read_token
from asl.types import AslError, UsageError
from tests.app.conftest import crop, encode, textured
from tests.app.service.conftest import JPEG, add, serving


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
    assert found["references"] == 2
    (match,) = found["matches"]
    assert match["reference"]["label"] == "whole.jpg"
    assert match["direction"] == "reference->query"
    assert match["probability"] > 0.5
    assert match["accepted"] == (match["probability"] >= found["threshold"])
    assert len(match["reference_outline"]) >= 3
    everything = client.post(
        "/search?min_probability=0&k=1", content=encode(textured(0)), headers=JPEG
    ).json()
    assert len(everything["matches"]) == 1
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
    answers = described["paths"]["/references"]["post"]["responses"]
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


def test_the_address_can_be_typed_into_a_browser() -> None:
    assert [address(host, 80) for host in ("127.0.0.1", "photos.lan", "::1")] == [
        "http://127.0.0.1:80",
        "http://photos.lan:80",
        "http://[::1]:80",
    ]


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
    assert client.get("/nowhere").json() == {"error": "Not Found"}
    described = client.get("/openapi.json").json()
    assert set(described["paths"]) >= {
        "/references",
        "/references/{id}",
        "/search",
        "/health",
        "/ready",
        "/metrics",
    }
    assert "image/*" in described["paths"]["/search"]["post"]["requestBody"]["content"]
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


def test_it_does_not_open_up_by_accident(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for host in ("127.0.0.1", "::1", "localhost", "127.1.2.3"):
        check_exposure(host, "")
    for host in ("0.0.0.0", "::", "192.168.1.4", "photos.lan"):
        with pytest.raises(UsageError, match="ASL_TOKEN"):
            check_exposure(host, "")
        check_exposure(host, "open-sesame")
    monkeypatch.setenv("ASL_TOKEN", "from-the-environment")
    assert read_token(None) == "from-the-environment"
    (tmp_path / "token").write_text("from-a-file\nsecond line\n")
    assert read_token(tmp_path / "token") == "from-a-file"
    (tmp_path / "token").write_text("")
    with pytest.raises(UsageError, match="6 or more"):
        read_token(tmp_path / "token")
    monkeypatch.delenv("ASL_TOKEN")
    with pytest.raises(SystemExit) as stopped:
        main(["--host", "0.0.0.0", "--library", str(tmp_path / "library")])
    assert stopped.value.code == 2
    assert not (tmp_path / "library").exists()


@pytest.mark.slow
def test_a_kill_loses_nothing_that_was_acknowledged(model: Path, tmp_path: Path) -> None:
    """Another thread kills the process while images are added: every answered id is kept."""
    answered: list[str] = []
    for attempt in range(2):
        with live(model, tmp_path / "library") as (process, port):
            timer = threading.Timer(0.4, lambda process=process: process.kill())
            for seed in range(attempt * 500, attempt * 500 + 500):
                if seed == attempt * 500 + 3:
                    timer.start()
                request = urllib.request.Request(
                    f"http://127.0.0.1:{port}/references", encode(textured(seed, 90, 120)), JPEG
                )
                try:
                    with urllib.request.urlopen(request, timeout=20) as answer:
                        answered.append(json.load(answer)["reference"]["id"])
                except (OSError, http.client.HTTPException):
                    break
            timer.join()
            assert process.wait(20) == -signal.SIGKILL
    assert len(answered) >= 6
    with live(model, tmp_path / "library") as (_, port):
        with urllib.request.urlopen(
            f"http://127.0.0.1:{port}/references?limit=1000", timeout=20
        ) as answer:
            listed = [reference["id"] for reference in json.load(answer)["references"]]
        assert set(answered) <= set(listed)
        assert len(listed) - len(answered) <= 2, "what was under way may be there as well"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_service_well(model: Path, tmp_path: Path, number: int) -> None:
    with live(model, tmp_path / "library") as (process, _):
        process.send_signal(number)
        assert process.wait(20) == 0


def test_a_port_or_a_library_that_is_in_use_is_refused(tmp_path: Path) -> None:
    with bound("127.0.0.1", 0) as first:
        first.listen()
        port = first.getsockname()[1]
        with pytest.raises(AslError, match=f"^port {port} is in use; choose --port$"):
            bound("127.0.0.1", port)
    with pytest.raises(UsageError, match="--port must be"):
        bound("127.0.0.1", 70_000)
    with alone(tmp_path / "library"):
        with (
            pytest.raises(AslError, match="another asl serve has it open"),
            alone(tmp_path / "library"),
        ):
            pass
        with alone(tmp_path / "other"):
            pass
    with alone(tmp_path / "library"):
        pass


@contextmanager
def live(model: Path, library: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The service in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "asl",
        "serve",
        "--port",
        str(port),
        "--library",
        str(library),
        "--model",
        str(model),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            for _ in range(600):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            yield process, port
        finally:
            process.kill()


@pytest.mark.slow
def test_hostile_uploads_against_a_live_service(model: Path, tmp_path: Path) -> None:
    """One round of every kind; `scripts/hostile_uploads.py` without --count sends a thousand."""
    script = Path(__file__).resolve().parents[3] / "scripts" / "hostile_uploads.py"
    command = [
        sys.executable,
        str(script),
        "--count",
        "40",
        "--model",
        str(model),
        "--report",
        str(tmp_path / "r.json"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "r.json").read_text())
    assert (report["verdict"], report["uploads"], report["references_lost"]) == ("held", 40, 0)
    assert sum(report["answers"].values()) == 40


def test_parts_of_the_references_are_searched(client: TestClient) -> None:
    """The nearest whole image is another one: the region makes the photo the first candidate."""
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


def test_a_library_that_was_made_with_other_regions_gets_its_parts(
    model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with CopyDetector(model, folder=tmp_path / "library", regions="none") as plain:
        plain.add(photos)
    told = []
    for _ in range(2):
        options = compose("serve", ["--library", str(tmp_path / "library"), "--model", str(model)])
        with open_detector(options) as detector:
            assert len(detector) == 7
        told.append("embedding regions (coarse)" in capsys.readouterr().err)
    assert told == [True, False]
    with pytest.raises(SystemExit) as stopped:
        main(["--regions", "tiny", "--library", str(tmp_path / "other")])
    assert stopped.value.code == 2
    assert "coarse" in capsys.readouterr().err
