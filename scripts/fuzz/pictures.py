"""Damage small pictures of every format that is read, and decode them.

  python scripts/fuzz/pictures.py --count 10000 --seed 0

Outcomes: refused (one line), decoded; a traceback, a crash or a hang is a fault, exit code 1.
"""

from __future__ import annotations

import io
import random
import sys
from functools import partial

import numpy as np
from campaign import Job, finish, options_of, run_cases
from mutations import mutated
from PIL import Image

from asl.data.images import ImageError, decode_image
from asl.data.signatures import FORMATS


def pictures() -> dict[str, bytes]:
    """Encode one small picture in every format, and in the variants that decoders treat apart."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((64, 48), Image.Resampling.BICUBIC)
    wide = Image.fromarray((np.asarray(image.convert("L"), np.uint16) * 257).astype(np.uint16))
    alpha = image.copy()
    alpha.putalpha(128)
    others = [image.rotate(angle) for angle in (90, 180)]
    variants: dict[str, tuple[Image.Image, str, dict[str, object]]] = {
        "JPEG": (image, "JPEG", {}),
        "JPEG progressive": (image, "JPEG", {"progressive": True}),
        "JPEG CMYK": (image.convert("CMYK"), "JPEG", {}),
        "JPEG with EXIF": (image, "JPEG", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"}),
        "PNG": (image, "PNG", {}),
        "PNG palette": (image.convert("P"), "PNG", {}),
        "PNG 16 bit": (wide, "PNG", {}),
        "PNG animated": (alpha, "PNG", {"save_all": True, "append_images": others}),
        "WEBP": (image, "WEBP", {}),
        "WEBP lossless": (alpha, "WEBP", {"lossless": True}),
        "BMP": (image, "BMP", {}),
        "GIF": (image.convert("P"), "GIF", {"save_all": True, "append_images": others}),
        "TIFF": (image, "TIFF", {}),
        "TIFF LZW": (image, "TIFF", {"compression": "tiff_lzw"}),
        "TIFF JPEG": (image, "TIFF", {"compression": "jpeg"}),
        "TIFF group 4": (image.convert("1"), "TIFF", {"compression": "group4"}),
        "PPM": (image, "PPM", {}),
        "AVIF": (image, "AVIF", {}),
        "JPEG2000": (image, "JPEG2000", {}),
    }
    encoded = {}
    for name, (picture, kind, keys) in variants.items():
        if kind not in FORMATS:
            continue
        buffer = io.BytesIO()
        picture.save(buffer, kind, **keys)
        encoded[name] = buffer.getvalue()
    return encoded


def job(data: bytes, *, seed: int, kind: str) -> Job:
    """Decode one damaged copy a case."""

    def decode(number: int) -> str:
        rng = random.Random(f"{seed} {kind} {number}")
        name, changed = mutated(rng, data)
        for _ in range(rng.randrange(3)):
            name, changed = mutated(rng, changed or data)
        try:
            pixels = decode_image(changed, max_pixels=4_000_000)
        except ImageError as error:
            lines = str(error).splitlines()
            return "refused" if len(lines) == 1 else f"many lines: {name} {lines}"
        fits = pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.dtype == np.uint8
        return "decoded" if fits and pixels.size else f"no picture: {name} {pixels.shape}"

    return decode


def main() -> int:
    """Run the campaign; ``--count`` is that of all formats together."""
    options = options_of((__doc__ or "").splitlines()[0], count=1000).parse_args()
    encoded = {
        kind: data for kind, data in pictures().items() if kind in options.only or not options.only
    }
    each = -(-options.count // len(encoded))
    report = {}
    for kind, data in encoded.items():
        make = partial(job, data, seed=options.seed, kind=kind)
        report[kind] = run_cases(make, each, limit=options.limit)
    bad = {"traceback", "crash", "hang", "many lines", "no picture"}
    return finish(report, options.report, bad=bad)


if __name__ == "__main__":
    sys.exit(main())
