from __future__ import annotations

from pathlib import Path

import pytest

from asl.app.explaining.explain_pair import Explanation, explain_pair
from asl.shared_defaults import MODEL
from tests.app.conftest import crop, encode, textured


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture, a crop of it, a re-encoded copy, the same pixels, another picture."""
    folder = tmp_path_factory.mktemp("files")
    whole = encode(textured(0), quality=95)
    (folder / "whole.jpg").write_bytes(whole)
    (folder / "again.jpg").write_bytes(whole)
    (folder / "cut <b>.jpg").write_bytes(encode(crop(textured(0)), quality=90))
    (folder / "pixels.png").write_bytes(encode(_decoded(whole), "PNG"))
    (folder / "other.jpg").write_bytes(encode(textured(1), quality=95))
    (folder / "broken.jpg").write_bytes(whole[:3000])
    return folder


def _decoded(data: bytes):  # type: ignore[no-untyped-def]
    from asl.data.images import decode_image

    return decode_image(data)


def explained(first: Path, second: Path, *, precision: float = 0.95) -> Explanation:
    """Compare with the packaged model."""
    return explain_pair(first, second, model=MODEL, precision=precision, max_pixels=10_000_000)


@pytest.fixture(scope="module")
def crop_case(files: Path) -> Explanation:
    return explained(files / "whole.jpg", files / "cut <b>.jpg")


@pytest.fixture(scope="module")
def other_case(files: Path) -> Explanation:
    return explained(files / "whole.jpg", files / "other.jpg")
