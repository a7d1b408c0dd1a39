"""Photographs and copies of them, for the tests of verified searches."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipeline.cut_images import make_cut_images


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Queries in ``new``, references in ``library``, a model ``m.safetensors``."""
    return make_cut_images(tmp_path_factory.mktemp("verified"))
