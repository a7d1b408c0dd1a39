"""The service answers as its OpenAPI description says: schemathesis, with all of its checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

pytest.importorskip("fastapi", reason="the service needs `pip install asl-icd[serve]`")
import schemathesis
from schemathesis.specs.openapi.checks import positive_data_acceptance

from asl.app.detector import CopyDetector
from asl.app.service.guard import ServiceOptions
from asl.app.service.routes import create_app
from asl.models import Embedder
from tests.app.conftest import encode, textured


def test_every_answer_is_one_that_the_description_names(embedder: Embedder, tmp_path: Path) -> None:
    with CopyDetector(embedder, folder=tmp_path / "library", max_pixels=100_000) as detector:
        detector.add(encode(textured(0)), names="0" * 32)
        app = create_app(detector, ServiceOptions(max_bytes=100_000, hosts=("testserver",)))
        schema = schemathesis.openapi.from_asgi("/openapi.json", app)
        operations = [result.ok() for result in schema.get_all_operations()]
        assert len(operations) == 11
        for operation in operations:
            _check(operation)


def _check(operation: Any) -> None:
    @settings(
        max_examples=4,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def answers(case: Any) -> None:
        # No schema can say of which bytes an image consists.
        uploads = [positive_data_acceptance] if operation.body else []
        case.call_and_validate(excluded_checks=uploads)

    answers()
