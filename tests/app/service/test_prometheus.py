from __future__ import annotations

import pytest

pytest.importorskip("fastapi", reason="the service needs `pip install asl-icd[serve]`")
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from asl.app.service.prometheus import Metrics
from tests.app.conftest import encode, textured
from tests.app.service.conftest import JPEG, add


def test_requests_are_counted_by_route_and_status(client: TestClient) -> None:
    add(client, encode(textured(0)))
    client.post("/search", content=b"junk", headers=JPEG)
    client.get("/nowhere")
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert samples["asl_requests_total", "/references", "201", "POST"] == 1
    assert samples["asl_requests_total", "/search", "422", "POST"] == 1
    assert samples["asl_references",] == 1
    assert samples["asl_requests_busy",] == 0
    assert samples["asl_memory_bytes",] > 1e6
    assert samples["asl_request_seconds_bucket", "+Inf", "/references"] == 1
    assert samples["asl_request_seconds_count", "/references"] == 1
    assert samples["asl_requests_total", "404", "GET", "other"] == 1


def test_two_services_count_on_their_own() -> None:
    first, second = Metrics(), Metrics()
    first.count("GET", "/health", 200, 0.1)
    assert b'route="/health"' in first.text(references=0, busy=0)
    assert b'route="/health"' not in second.text(references=0, busy=0)
