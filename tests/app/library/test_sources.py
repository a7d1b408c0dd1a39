from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from asl.app.detector import CopyDetector
from asl.app.library.sources import by_content, read_queries, read_sources
from asl.models import Embedder
from asl.types import UsageError
from tests.app.conftest import encode, textured


def test_every_form_of_an_image_is_the_same_image(photos: Path, embedder: Embedder) -> None:
    image = textured(0)
    detector = CopyDetector(embedder)
    png = encode(image, "PNG")
    (photos / "form.png").write_bytes(png)
    detector.add([image, Image.fromarray(image), png, photos / "form.png"], names=list("abcd"))
    assert detector.names == list("abcd")
    for form in (image, Image.fromarray(image), png, str(photos / "form.png")):
        found = detector.query(form)
        assert sorted(match.reference for match in found) == list("abcd")
        assert min(match.cosine for match in found) > 0.9999


def test_photos_that_are_put_in_first_are_labelled_by_their_path(
    embedder: Embedder, photos: Path
) -> None:
    """Cameras begin again at IMG_0001.jpg: the name alone says nothing."""
    (photos / "p1.jpg").rename(photos / "sub" / "p0.jpg")
    detector = CopyDetector(embedder)
    detector.add_sources(*by_content(photos))
    labels = {detector.describe(name)[0].label for name in detector.names}
    assert {"p0.jpg", "sub/p0.jpg"} <= labels


def test_generators_sets_patterns_and_the_home_folder(photos: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    def names(images: object) -> list[str]:
        sources, total = read_sources(images, None)  # type: ignore[arg-type]
        listed = sorted(source.name for source in sources)
        assert len(listed) == total
        return listed

    monkeypatch.setenv("HOME", str(photos.parent))
    files = [photos / "p0.jpg", photos / "p1.jpg"]
    for images in (files, tuple(files), set(files), (file for file in files)):
        assert names(images) == ["p0.jpg", "p1.jpg"]
    assert names("~/photos/p0.jpg") == names(["~/photos/p0.jpg"]) == ["p0.jpg"]
    assert names(str(photos / "p[0-1].jpg")) == ["p0.jpg", "p1.jpg"]
    assert "crop-of-0.jpg" in names(str(photos / "**" / "*.jpg"))
    (photos / "p[0].jpg").write_bytes((photos / "p2.jpg").read_bytes())
    assert names(str(photos / "p[0].jpg")) == ["p[0].jpg"], "a file of that very name comes first"
    with pytest.raises(UsageError, match="there is no"):
        names(str(photos / "*.none"))
    with pytest.raises(UsageError, match="expected one image or several, got int"):
        names(7)


def test_queries_that_are_no_files_are_named_by_their_place(photos: Path) -> None:
    file = photos / "p0.jpg"
    sources, _ = read_queries([textured(0), file, b"x"], None)
    assert [source.name for source in sources] == ["0", str(file), "2"]
    sources, _ = read_queries(photos / "sub", None)
    assert sorted(source.name for source in sources) == ["crop-of-0.jpg", "small-1.png"]
