"""Picture formats by the first bytes of a file, and by the endings that files of a format have."""

from __future__ import annotations

from PIL import features

HEAD_BYTES = 32  # that decide

_JPEG2000 = features.check("jpg_2000")  # not every build of Pillow has the decoder
# Pillow's names of the formats that are decoded; JPEG covers its multi-picture form.
FORMATS = (
    *("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF"),
    *(["JPEG2000"] if _JPEG2000 else []),
)
_READ = "jpg jpeg jpe jfif png webp bmp gif tif tiff ppm pgm avif" + (" jp2" if _JPEG2000 else "")
EXTENSIONS = frozenset(f".{ending}" for ending in _READ.split())
# Photographs that people have and that cannot be decoded here: they are counted and named.
_CAMERA_RAW = "dng cr2 cr3 crw nef nrw arw srf sr2 orf rw2 raf pef srw x3f 3fr iiq erf kdc mrw"
RAW_EXTENSIONS = frozenset(f".{ending}" for ending in _CAMERA_RAW.split())
_UNREAD = "heic heif hif jxl jp2 j2k jpx psd psb"
UNREAD = frozenset(f".{ending}" for ending in _UNREAD.split()) - EXTENSIONS | RAW_EXTENSIONS

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
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL \r\n\x87\n": "JPEG XL",
    b"8BPS": "Photoshop",
    b"FUJIFILM": "camera RAW",
    b"IIRO": "camera RAW",
    b"IIU\0": "camera RAW",
}
_BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis"), "HEIC"),
    b"crx ": "camera RAW",
}
_GENERIC_BRANDS = (b"mif1", b"msf1")  # the compatible brands say which codec
_BMP_HEADERS = {12, 16, 40, 52, 56, 64, 108, 124}  # sizes of the header after the file's own


def picture_format(head: bytes) -> str | None:
    r"""Return the format of a picture by its first 32 bytes, or None.

    >>> picture_format(b"\xff\xd8\xff\xe0" + bytes(28))
    'JPEG'
    >>> picture_format(b"\0\0\0\x18ftypheic" + bytes(20))
    'HEIC'
    >>> picture_format(b"plain text")
    """
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
        generic = "HEIC" if head[8:12] in _GENERIC_BRANDS else None
        return known[0] if known else generic
    return None
