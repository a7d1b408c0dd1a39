"""What a file says about itself: size, format, and whether a camera or an editor wrote it."""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict, dataclass

from PIL import ExifTags, Image

from asl.data.images import open_image

_LONGEST = 80  # characters of a text from a file that are kept


@dataclass(frozen=True)
class Facts:
    """What is known of a file without looking at its pixels.

    Attributes:
        width: pixels, upright.
        height: pixels, upright.
        bytes: size of the encoded file.
        format: ``JPEG``, ``PNG`` ...
        camera: maker and model from EXIF, empty where there is none.
        software: what wrote the file, from EXIF.
        taken: date from EXIF, ``2024:05:01 12:00:00``.
    """

    width: int
    height: int
    bytes: int
    format: str = ""
    camera: str = ""
    software: str = ""
    taken: str = ""

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.width * self.height

    def to_json(self) -> str:
        """As text; :meth:`from_json` reads it back."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Facts:
        """From text."""
        return cls(**json.loads(text))


def read_facts(data: bytes, *, height: int, width: int) -> Facts:
    """Facts of an encoded image that has been decoded to ``height`` x ``width``; broken metadata count as none."""
    kind, camera, software, taken = "", "", "", ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with open_image(data) as image:
                kind = image.format or ""
                # A very large photograph was decoded at a fraction of its size.
                if image.width * image.height > 2 * width * height:
                    turned = (image.width < image.height) != (width < height)
                    width, height = image.size[::-1] if turned else image.size
                exif = image.getexif()
                camera = f"{_text(exif, ExifTags.Base.Make)} {_text(exif, ExifTags.Base.Model)}".strip()
                software = _text(exif, ExifTags.Base.Software)
                inner = exif.get_ifd(ExifTags.IFD.Exif)
                taken = _clean(inner.get(ExifTags.Base.DateTimeOriginal, ""))
    except Exception:  # hostile metadata of an image whose pixels are fine: nothing is known then
        pass
    return Facts(width, height, len(data), "JPEG" if kind == "MPO" else kind, camera, software, taken)


def _text(exif: Image.Exif, tag: int) -> str:
    return _clean(exif.get(tag, ""))


def _clean(value: object) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return "".join(letter for letter in text if letter.isprintable())[:_LONGEST].strip()
