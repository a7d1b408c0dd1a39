"""Ids of embeddings against those of images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from asl.data.catalog import FileCatalog, open_catalog
from asl.features.fingerprints import content, glance
from asl.pipeline.image_checks import check_images, warn_changed
from asl.types import AslError


def catalog(*names: str) -> FileCatalog:
    return FileCatalog(np.array(names), names)


def test_embeddings_without_images_are_counted_and_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ids = np.array(["a.png", "b [x].png", "c.png"])
    check_images("reference_images", ids, catalog("c.png", "a.png", "b [x].png", "d.png"))
    check_images("reference_images", ids[:0], catalog("z.png"))
    assert not capsys.readouterr().err
    check_images("reference_images", ids, catalog("a.png", "c.png"))
    assert capsys.readouterr().err == (
        "reference_images: 1 of 3 embedded images is not among these images, "
        "e.g. 'b [x].png': not verified\n"
    )
    with pytest.raises(AslError, match=r"^query_images: none of the 3 .* e\.g\. 'a\.png' \(they"):
        check_images("query_images", ids, catalog("new/a.png"))


def test_images_that_changed_since_they_were_embedded_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["a.png", "b.png", "c.png"]
    for name in names:
        (tmp_path / name).write_bytes(f"pixels of {name}".encode())
    images = open_catalog(tmp_path)
    stamps = {
        name: f"{glance(images, row)}:{content(images.read(row))}" for row, name in enumerate(names)
    }
    (tmp_path / "a.png").write_bytes(b"another picture")
    (tmp_path / "b.png").touch()  # the same picture, copied again
    known = {**stamps, "c.png": None, "gone.png": "0:0"}
    warn_changed("reference_images", np.array([*names, "gone.png"]), images, known)
    said = capsys.readouterr().err
    assert said.startswith("reference_images: 1 of 4 images changed since they were embedded")
    assert "e.g. 'a.png'" in said
    assert "extract them again" in said
    warn_changed("reference_images", np.array(names[1:]), images, stamps)
    assert not capsys.readouterr().err
