"""Ids of embeddings against those of images."""

from __future__ import annotations

import numpy as np
import pytest

from asl.data.catalog import FileCatalog
from asl.pipeline.image_checks import check_images
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
        "reference_images: 1 of 3 embedded images are not among these images, "
        "e.g. 'b [x].png'; they are not verified\n"
    )
    with pytest.raises(AslError, match=r"^query_images: none of the 3 .* e\.g\. 'a\.png' \(they"):
        check_images("query_images", ids, catalog("new/a.png"))
