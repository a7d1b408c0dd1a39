"""Reasons for unusable images are short and say the same in every list of failures."""

from __future__ import annotations

from pathlib import Path

import pytest

from asl.data.catalog import open_catalog
from asl.data.image_error import ImageError, reason_of
from asl.types import AslError


def test_an_error_may_name_its_image() -> None:
    error = ImageError("empty file", image="a.jpg")
    assert (str(error), error.reason) == ("a.jpg: empty file", "empty file")
    assert str(ImageError("empty file")) == "empty file"


def test_the_reason_has_no_path_and_no_number() -> None:
    assert reason_of(ImageError("empty file", image="a.jpg")) == "empty file"
    assert reason_of(PermissionError(13, "Permission denied", "a.jpg")).endswith("ission denied")
    assert reason_of(OSError("odd")) == "cannot be read: odd"
    assert reason_of(AslError("t.tar: damaged")) == "t.tar: damaged"
    assert reason_of(ValueError()) == "ValueError"


def test_a_dead_link_is_described_without_its_path(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").symlink_to("nowhere.jpg")
    with pytest.raises(OSError, match="leads nowhere") as caught:
        open_catalog(tmp_path).read(0)
    assert reason_of(caught.value) == ("cannot be read: a link to nowhere.jpg, which leads nowhere")
