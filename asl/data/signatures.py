"""Picture formats by the first bytes of a file, and by the endings that files of a format have.

Some formats are read only where a package of the extra ``photos`` is installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec

from PIL import features

HEAD_BYTES = 32  # that decide
INSTALL_PHOTOS = 'pip install "asl-icd[photos]"'

_JPEG2000 = features.check("jpg_2000")  # not every build of Pillow has the decoder
# Pillow's names of the formats that are always decoded; JPEG covers its multi-picture form.
FORMATS = (
    *("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF"),
    *(["JPEG2000"] if _JPEG2000 else []),
)


def _endings(words: str) -> frozenset[str]:
    return frozenset(f".{word}" for word in words.split())


@dataclass(frozen=True)
class OptionalFormat:
    """A format that is read where one of some packages is installed.

    Attributes:
        kind: its name.
        modules: packages, the preferred one first.
        endings: of its files, in small letters.
    """

    kind: str
    modules: tuple[str, ...]
    endings: frozenset[str]


HEIC = "HEIC"
CAMERA_RAW = "camera RAW"
JPEG_XL = "JPEG XL"
RAW_EXTENSIONS = _endings(
    "dng cr2 cr3 crw nef nrw arw srf sr2 orf rw2 raf pef srw x3f 3fr iiq erf kdc dcr mrw"
)
# pillow_heif is pi_heif with an encoder.
OPTIONAL = (
    OptionalFormat(HEIC, ("pi_heif", "pillow_heif"), _endings("heic heif hif")),
    OptionalFormat(CAMERA_RAW, ("rawpy",), RAW_EXTENSIONS),
    OptionalFormat(JPEG_XL, ("imagecodecs",), _endings("jxl")),
)
_ALWAYS_READ = _endings(
    "jpg jpeg jpe jfif png webp bmp gif tif tiff ppm pgm avif" + (" jp2" if _JPEG2000 else "")
)
PICTURE_EXTENSIONS = _ALWAYS_READ.union(
    _endings("jp2 j2k jpx psd psb"), *(form.endings for form in OPTIONAL)
)

_STARTS = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"P5\n": "PPM",
    b"P6\n": "PPM",
    b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG2000",
    b"\xff\x4f\xff\x51": "JPEG2000",
    b"\xff\x0a": JPEG_XL,
    b"\0\0\0\x0cJXL \r\n\x87\n": JPEG_XL,
    b"8BPS": "Photoshop",
    **dict.fromkeys((b"FUJIFILM", b"IIRO", b"IIRS", b"MMOR", b"IIU\0"), CAMERA_RAW),
    **dict.fromkeys((b"FOVb", b"\0MRM", b"II\x1a\0\0\0HEAPCCDR"), CAMERA_RAW),
}
_BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis"), HEIC),
    b"crx ": CAMERA_RAW,
}
_GENERIC_BRANDS = (b"mif1", b"msf1")  # the compatible brands say which codec
_CANON = b"CR\2"  # after the header of a TIFF
_BMP_HEADERS = {12, 16, 40, 52, 56, 64, 108, 124}  # sizes of the header after the file's own


def picture_format(head: bytes) -> str | None:
    r"""Return the format of a picture by its first 32 bytes, or None.

    Most camera RAW files begin as a TIFF; :func:`asl.data.camera_raw.picture_kind` knows them.

    >>> picture_format(b"\xff\xd8\xff\xe0" + bytes(28))
    'JPEG'
    >>> picture_format(b"\0\0\0\x18ftypheic" + bytes(20))
    'HEIC'
    >>> picture_format(b"plain text")
    """
    if head[8:11] == _CANON:
        return CAMERA_RAW
    for start, name in _STARTS.items():
        if head.startswith(start):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    if head[4:8] == b"ftyp":
        brands = [head[8:12], *(head[start : start + 4] for start in range(16, len(head), 4))]
        known = [_BRANDS[brand] for brand in brands if brand in _BRANDS]
        generic = HEIC if head[8:12] in _GENERIC_BRANDS else None
        return known[0] if known else generic
    return None


def decoder_of(kind: str | None) -> str | None:
    """Return the installed package that decodes an optional format, or None."""
    modules = next((form.modules for form in OPTIONAL if form.kind == kind), ())
    return next((module for module in modules if _installed(module)), None)


def is_read(kind: str | None) -> bool:
    """Check that pictures of a format are decoded here."""
    return kind in FORMATS or decoder_of(kind) is not None


def read_extensions() -> frozenset[str]:
    """Return the endings of the formats that are decoded here."""
    installed = [form.endings for form in OPTIONAL if decoder_of(form.kind)]
    return _ALWAYS_READ.union(*installed)


def is_optional(label: str) -> bool:
    """Check that a format, or an ending with or without one, is read with the extra."""
    return any(form.kind in label or label in form.endings for form in OPTIONAL)


@lru_cache
def _installed(module: str) -> bool:
    return find_spec(module) is not None
