"""Facts of an image file: size, format, EXIF, and traces of enlargement and colour reduction."""

from __future__ import annotations

import json
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image

from asl.app.library.lost_detail import LARGE_SIDE, SHRINKS, lost_inside, measure_lost_detail
from asl.data.camera_raw import picture_kind
from asl.data.images import Pixels, open_image

MOST_TEXT = 80  # characters kept of a text in a file
GIF_COLOURS = 256
# Share of pixels that equal their neighbour: above it a drawing; a photograph with few colours
# has 0.7 at most.
DRAWING_FLATNESS = 0.75


@dataclass(frozen=True)
class Facts:
    """Facts of a file by itself; values measured on pixels are missing in stores of old versions.

    Attributes:
        width: pixels, upright.
        height: pixels, upright.
        bytes: size of the encoded file.
        format: ``JPEG``, ``PNG``, ``camera RAW`` ...
        camera: maker and model from EXIF, else empty.
        software: program that wrote the file, from EXIF, else empty.
        taken: date from EXIF, ``2024:05:01 12:00:00``, else empty.
        checksum: CRC-32 of the decoded pixels.
        few_colours: True for a photograph of 256 colours at most, as GIF leaves it; False for
            drawings and grey photographs.
        lost: RMS grey levels that are lost when the image is shrunk by each of ``SHRINKS`` and
            enlarged again.
        lost_by_place: the same by place (:mod:`asl.app.library.lost_detail`).
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
    lost_by_place: str = ""

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.width * self.height

    @property
    def sharpness(self) -> float:
        """RMS grey levels of the detail that is lost at half the size; 0 where not measured."""
        return self.lost[SHRINKS.index(2.0)] if self.lost else 0.0

    def lost_inside(self, outline: Sequence[tuple[float, float]]) -> tuple[float, ...]:
        """Return ``lost`` of the part inside an outline; of all where that was not measured.

        Args:
            outline: corners (x, y) as shares 0..1 of the image; empty for all of it.
        """
        return lost_inside(self.lost_by_place, outline, (self.height, self.width)) or self.lost

    def to_json(self) -> str:
        """Serialise for the store; :meth:`from_json` is the inverse."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Facts:
        """Read facts written by :meth:`to_json`, also of earlier versions."""
        raw = json.loads(text)
        return cls(**{**raw, "lost": tuple(raw.get("lost", ()))})

    def same_pixels(self, other: Facts) -> bool:
        """Check that both are known to decode to the same pixels."""
        return (
            self.checksum is not None
            and self.checksum == other.checksum
            and (self.width, self.height) == (other.width, other.height)
        )

    def same_picture(self, other: Facts) -> bool:
        """Check for the same pixels that show something: blank images are no copies."""
        return self.same_pixels(other) and any(self.lost)


def read_facts(data: bytes, pixels: Pixels, shown: bytes = b"") -> Facts:
    """Read the facts of an encoded image; broken metadata count as none.

    Args:
        data: encoded file.
        pixels: uint8 ``[H, W, 3]`` RGB, decoded from it, upright.
        shown: the preview of a camera RAW; empty for other files.
    """
    kind = camera = software = taken = ""
    height, width = pixels.shape[:2]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with open_image(shown or data) as image:
                kind = picture_kind(data) or ""
                # A very large photograph was decoded at a fraction of its size.
                if image.width * image.height > 2 * width * height:
                    turned = (image.width < image.height) != (width < height)
                    width, height = image.size[::-1] if turned else image.size
                exif = image.getexif()
                camera = _camera(exif)
                software = _text(exif, ExifTags.Base.Software)
                inner = exif.get_ifd(ExifTags.IFD.Exif)
                taken = _date(inner.get(ExifTags.Base.DateTimeOriginal, ""))
    except Exception:  # hostile metadata of an image whose pixels are fine
        pass
    return Facts(
        width,
        height,
        len(data),
        kind,
        camera,
        software,
        taken,
        zlib.crc32(np.ascontiguousarray(pixels).data),
        _has_few_colours(pixels),
        *measure_lost_detail(pixels),
    )


def _camera(exif: Image.Exif) -> str:
    """Maker and model; most models repeat their maker."""
    maker, model = _text(exif, ExifTags.Base.Make), _text(exif, ExifTags.Base.Model)
    if model.casefold().startswith(maker.casefold()):
        return model
    return f"{maker} {model}".strip()


def _has_few_colours(pixels: Pixels) -> bool:
    step = max(1, max(pixels.shape[:2]) // LARGE_SIDE)
    sample = pixels[::step, ::step]
    # A small sample settles almost every photograph; sorting a million pixels takes 0.1 s.
    for part in (sample[::8, ::8], sample):
        if len(np.unique(_colour_numbers(part))) > GIF_COLOURS:
            return False
    grey = bool((sample == sample[..., :1]).all())
    rows = pixels[::step]
    changes = (rows[:, 1:] != rows[:, :-1]).any(axis=2)
    return not grey and bool(changes.sum() > (1 - DRAWING_FLATNESS) * changes.size)


def _colour_numbers(pixels: Pixels) -> npt.NDArray[np.uint32]:
    """Pack the channels of every pixel into one number."""
    red, green, blue = (pixels[..., channel].astype(np.uint32) for channel in range(3))
    return np.asarray((red << 16) | (green << 8) | blue, dtype=np.uint32)


def _text(exif: Image.Exif, tag: int) -> str:
    return _clean(exif.get(tag, ""))


def _date(value: object) -> str:
    """Return a date; empty for zeros or blanks, by which EXIF says that it is unknown."""
    text = _clean(value)
    return text if any(digit in text for digit in "123456789") else ""


def _clean(value: object) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return "".join(letter for letter in text if letter.isprintable())[:MOST_TEXT].strip()
