from __future__ import annotations

from pathlib import Path

from PIL import Image

from asl.app.detector import CopyDetector
from asl.app.library.sources import by_content
from asl.models import Embedder
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
