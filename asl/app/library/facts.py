"""What a file says about itself: size, format, whether a camera or an editor wrote it, traces of how it was made."""

from __future__ import annotations

import json
import warnings
import zlib
from dataclasses import asdict, dataclass

import cv2
import numpy as np
from PIL import ExifTags, Image

from asl.data.images import Pixels, open_image

SHRINKS = (1.25, 1.5, 2.0, 3.0, 4.0)  # of both sides, by which it is tried what would be lost
_LONGEST = 80  # characters of a text from a file that are kept
_LARGE = (
    1024  # pixels of a side; of larger images samples are measured, more would only take longer
)
_TILE = 340  # pixels of the side of a sample, of which there are 3 x 3
_FEW = 256  # colours of a GIF
# a drawing's pixels mostly equal their neighbours; 0.7 of a photograph's with few colours at most
_FLAT = 0.75


@dataclass(frozen=True)
class Facts:
    """What is known of a file by itself; what is measured on its pixels is missing in stores of earlier versions.

    Attributes:
        width: pixels, upright.
        height: pixels, upright.
        bytes: size of the encoded file.
        format: ``JPEG``, ``PNG`` ...
        camera: maker and model from EXIF, empty where there is none.
        software: what wrote the file, from EXIF.
        taken: date from EXIF, ``2024:05:01 12:00:00``.
        checksum: of the decoded pixels.
        few_colours: a photograph of 256 colours at most, as GIF leaves it; neither a drawing nor
            grey.
        lost: RMS grey levels that are lost when it is shrunk by each of ``SHRINKS`` and enlarged
            again.
    """

    width: int
    height: int
    bytes: int
    format: str = ""
    camera: str = ""
    software: str = ""
    taken: str = ""
    checksum: int | None = None
    few_colours: bool = False
    lost: tuple[float, ...] = ()

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
        raw = json.loads(text)
        return cls(**{**raw, "lost": tuple(raw.get("lost", ()))})

    def same_pixels(self, other: Facts) -> bool:
        """Whether both are known to decode to the same pixels."""
        same = (self.width, self.height, self.checksum) == (
            other.width,
            other.height,
            other.checksum,
        )
        return same and self.checksum is not None


def read_facts(data: bytes, pixels: Pixels) -> Facts:
    """Facts of an encoded image and what it decodes to; broken metadata count as none."""
    kind, camera, software, taken = "", "", "", ""
    height, width = pixels.shape[:2]
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
                camera = (
                    f"{_text(exif, ExifTags.Base.Make)} {_text(exif, ExifTags.Base.Model)}".strip()
                )
                software = _text(exif, ExifTags.Base.Software)
                inner = exif.get_ifd(ExifTags.IFD.Exif)
                taken = _clean(inner.get(ExifTags.Base.DateTimeOriginal, ""))
    except Exception:  # hostile metadata of an image whose pixels are fine: nothing is known then
        pass
    return Facts(
        width,
        height,
        len(data),
        "JPEG" if kind == "MPO" else kind,
        camera,
        software,
        taken,
        zlib.crc32(np.ascontiguousarray(pixels).data),
        _few_colours(pixels),
        _lost(pixels),
    )


def _few_colours(pixels: Pixels) -> bool:
    step = max(1, max(pixels.shape[:2]) // _LARGE)
    sample = pixels[::step, ::step]
    # Some pixels settle almost every photograph; sorting a million takes a tenth of a second.
    if len(np.unique(_numbers(sample[::8, ::8]))) > _FEW or len(np.unique(_numbers(sample))) > _FEW:
        return False
    grey = bool((sample == sample[..., :1]).all())
    rows = pixels[::step]
    changes = (rows[:, 1:] != rows[:, :-1]).any(axis=2)
    return not grey and bool(changes.sum() > (1 - _FLAT) * changes.size)


def _numbers(pixels: Pixels) -> np.ndarray:
    """A number for each colour."""
    red, green, blue = (pixels[..., channel].astype(np.uint32) for channel in range(3))
    return (red << 16) | (green << 8) | blue


def _lost(pixels: Pixels) -> tuple[float, ...]:
    squares = [[_lost_by(shrink, tile) for shrink in SHRINKS] for tile in _tiles(pixels)]
    return tuple(round(float(value), 3) for value in np.sqrt(np.mean(squares, axis=0)))


def _tiles(pixels: Pixels) -> list[Pixels]:
    """Samples from all over a large image, as they are; a small one is all of it."""
    if max(pixels.shape[:2]) <= _LARGE:
        return [pixels]
    tops, lefts = (np.linspace(0, max(0, side - _TILE), 3).astype(int) for side in pixels.shape[:2])
    return [pixels[top : top + _TILE, left : left + _TILE] for top in tops for left in lefts]


def _lost_by(shrink: float, pixels: Pixels) -> float:
    """Mean square."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    height, width = grey.shape
    size = max(1, round(width / shrink)), max(1, round(height / shrink))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    again = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return float(np.mean((grey - again) ** 2))


def _text(exif: Image.Exif, tag: int) -> str:
    return _clean(exif.get(tag, ""))


def _clean(value: object) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return "".join(letter for letter in text if letter.isprintable())[:_LONGEST].strip()
