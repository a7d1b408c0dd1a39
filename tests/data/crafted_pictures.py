"""Small files that ask for much work: what `SECURITY.md` promises is tested on them.

`scripts/crafted_pictures.py` prints time and memory of each.
"""

from __future__ import annotations

import io
import struct
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image

from asl.data.decode_budget import budget_for, within_budget
from asl.data.endable_process import Parts
from asl.data.images import ImageError, decode_image

SIDE = 7000  # pixels: 49 megapixels, just below the limit of the service
MAX_PIXELS = 50_000_000
Draw = Callable[[], bytes]
SLOW = {
    "bmp: runs of one pixel",
    "jpeg: 60 scans",
    "png: 49 megapixels of 16-bit RGBA",
    "png: a profile of a gigabyte",
    "ppm: a comment of 16 MB",
    "ppm: numbers as text",
}
DRAWN: dict[str, tuple[Draw, str]] = {}


def crafted(name: str, expected: str) -> Callable[[Draw], Draw]:
    """Register a picture; `expected` begins the reason of its refusal; ``ok``: it is read,
    ``any``: it is read or refused, since it takes nearly as long as it may; ``refused``: for a
    reason that depends on what is installed."""

    def register(draw: Draw) -> Draw:
        DRAWN[name] = (draw, expected)
        return draw

    return register


def megabytes(field: str) -> int:
    """Return a memory field of this process: ``VmRSS`` now, ``VmHWM`` at most since the reset."""
    with open("/proc/self/status", encoding="ascii") as file:
        (kilobytes,) = (line.split()[1] for line in file if line.startswith(field))
    return int(kilobytes) >> 10


def reset_peak() -> int:
    """Start to measure the peak of this process, and return what it has now, in megabytes."""
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")
    return megabytes("VmRSS")


@dataclass(frozen=True)
class Measured:
    """Decode; return CPU seconds, megabytes beside what the process had before, and outcome."""

    max_pixels: int = MAX_PIXELS

    def __call__(self, data: bytes) -> Parts:
        began, before = time.process_time(), reset_peak()
        try:
            outcome = str(decode_image(data, max_pixels=self.max_pixels).shape)
        except ImageError as error:
            outcome = error.reason
        peak = megabytes("VmHWM") - before
        return f"{time.process_time() - began:.2f} {peak} {outcome}", []


def zeros(count: int) -> bytes:
    packer = zlib.compressobj(9)
    block = bytes(1 << 20)
    parts = [packer.compress(block) for _ in range(count >> 20)]
    return b"".join([*parts, packer.compress(bytes(count % (1 << 20))), packer.flush()])


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


# JPEG


def segment(kind: int, content: bytes = b"") -> bytes:
    return struct.pack(">BBH", 0xFF, kind, len(content) + 2) + content


QUANTISATION = segment(0xDB, bytes(1) + bytes([1]) * 64)
HUFFMAN = b"".join(
    segment(0xC4, bytes([table, 1]) + bytes(15) + bytes(1)) for table in (0x00, 0x10)
)


def frame(kind: int, width: int, height: int, components: int) -> bytes:
    parts = b"".join(bytes([number, 0x11, 0]) for number in range(1, components + 1))
    return segment(kind, struct.pack(">BHHB", 8, height, width, components) + parts)


def scan(component: int, first: int, last: int, bits: int) -> bytes:
    return segment(0xDA, bytes([1, component, 0, first, last, bits]))


def jpeg(*parts: bytes) -> bytes:
    return b"".join([b"\xff\xd8", QUANTISATION, HUFFMAN, *parts, b"\xff\xd9"])


PROGRESSIVE = frame(0xC2, SIDE, SIDE, 1)
BASELINE = frame(0xC0, 64, 64, 1)


@crafted("jpeg: 5,000 scans", "over 64 scans")
def _() -> bytes:
    return jpeg(PROGRESSIVE, scan(1, 0, 0, 0), scan(1, 1, 63, 0x10) * 5000)


@crafted("jpeg: 60 scans", "any")
def _() -> bytes:
    """Whole: a bit for each block, and 15 bits for 16,384 blocks in every further scan."""
    skipping = segment(0xC4, bytes([0x10, 1]) + bytes(15) + bytes([0xE0]))
    averages = bytes((SIDE // 8) ** 2 // 8 + 1)
    return jpeg(
        PROGRESSIVE,
        scan(1, 0, 0, 0) + averages,
        skipping,
        (scan(1, 1, 63, 0x10) + bytes(100)) * 59,
    )


@crafted("jpeg: 5,000 sequential scans", "over 64 scans")
def _() -> bytes:
    return jpeg(frame(0xC0, SIDE, SIDE, 3), scan(1, 0, 63, 0) * 5000)


@crafted("jpeg: two million empty segments", "over 5000 segments")
def _() -> bytes:
    return jpeg(segment(0xFE) * 2_000_000, BASELINE, scan(1, 0, 63, 0))


@crafted("jpeg: two million empty segments between scans", "over 5000 segments")
def _() -> bytes:
    return jpeg(PROGRESSIVE, scan(1, 0, 0, 0), segment(0xFE) * 2_000_000, scan(1, 1, 63, 0) * 200)


@crafted("jpeg: 8 MB of junk", "over 65536 bytes")
def _() -> bytes:
    return jpeg(bytes(8_000_000), BASELINE, scan(1, 0, 63, 0))


@crafted("jpeg: 8 MB of padding", "over 5000 segments")
def _() -> bytes:
    return jpeg(b"\xff" * 8_000_000, BASELINE, scan(1, 0, 63, 0))


@crafted("jpeg: EXIF entries that share their value", "metadata of")
def _() -> bytes:
    return jpeg(segment(0xE1, b"Exif\0\0" + exif(900, 60_000 - 4000)), BASELINE, scan(1, 0, 63, 0))


@crafted("jpeg: a size without data", "truncated")
def _() -> bytes:
    return jpeg(frame(0xC0, SIDE, SIDE, 3), segment(0xDA, bytes([3, 1, 0, 2, 0, 3, 0, 0, 63, 0])))


def exif(entries: int, size: int) -> bytes:
    """Entries that all point to the same value."""
    head = b"II*\0" + struct.pack("<IH", 8, entries)
    place = len(head) + 12 * entries + 4
    table = b"".join(
        struct.pack("<HHII", 0x9000 + number, 7, size, min(place, 4000))
        for number in range(entries)
    )
    return head + table + bytes(4) + bytes(max(0, size + 4000 - place))


# PNG


def chunk(kind: bytes, content: bytes = b"") -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def png(
    pixels: bytes,
    *extra: bytes,
    width: int = 64,
    height: int = 64,
    depth: int = 8,
    colour: int = 2,
    interlaced: int = 0,
) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    parts = [chunk(b"IHDR", header), *extra, chunk(b"IDAT", pixels), chunk(b"IEND")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


SMALL = zeros(64 * (1 + 3 * 64))


@crafted("png: 49 megapixels of 16-bit gray", "ok")
def _() -> bytes:
    data = zeros(SIDE * (1 + 2 * SIDE))
    return png(data, width=SIDE, height=SIDE, depth=16, colour=0)


@crafted("png: 49 megapixels of 16-bit RGBA", "ok")
def _() -> bytes:
    data = zeros(SIDE * (1 + 8 * SIDE))
    return png(data, width=SIDE, height=SIDE, depth=16, colour=6)


@crafted("png: 49 megapixels, interlaced", "ok")
def _() -> bytes:
    data = zeros(3 * SIDE * SIDE + 4 * SIDE)
    return png(data, width=SIDE, height=SIDE, interlaced=1)


@crafted("png: 49 megapixels of a palette with transparency", "ok")
def _() -> bytes:
    palette = chunk(b"PLTE", bytes(range(256)) * 3), chunk(b"tRNS", bytes(256))
    return png(zeros(SIDE * (1 + SIDE)), *palette, width=SIDE, height=SIDE, colour=3)


@crafted("png: 49 million rows of one pixel", "any")
def _() -> bytes:
    return png(zeros(2 * SIDE * SIDE), width=1, height=SIDE * SIDE, colour=0)


@crafted("png: 700,000 empty chunks", "over")
def _() -> bytes:
    return png(SMALL, chunk(b"tEXt") * 700_000)


@crafted("png: 2,000 texts of a megabyte", "ok")
def _() -> bytes:
    return png(SMALL, chunk(b"zTXt", b"key\0\0" + zeros(1 << 20)) * 2000)


@crafted("png: a profile of a gigabyte", "ok")
def _() -> bytes:
    return png(SMALL, chunk(b"iCCP", b"name\0\0" + zeros(1 << 30)))


@crafted("png: EXIF entries that share their value", "metadata of")
def _() -> bytes:
    return png(SMALL, chunk(b"eXIf", exif(900, 200_000)))


@crafted("png: EXIF entries in a text", "any")
def _() -> bytes:
    text = b"\nexif\n 1\n" + exif(20_000, 400_000).hex().encode()
    return png(SMALL, chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text)))


@crafted("png: a size without data", "truncated: less data")
def _() -> bytes:
    return png(zeros(64_000), width=SIDE, height=SIDE)


# MPO and APNG: further pictures in a JPEG and a PNG


@crafted("mpo: an index of 60 million pictures", "ok")
def _() -> bytes:
    entries = struct.pack("<HHII", 0xB001, 4, 1, 60_000_000) + struct.pack(
        "<HHII", 0xB002, 7, 16, 8
    )
    index = b"MPF\0II*\0" + struct.pack("<IH", 8, 2) + entries + bytes(4)
    photo = saved(Image.new("RGB", (64, 64)), "JPEG")
    return photo[:2] + segment(0xE2, index) + photo[2:]


def apng(frames: int, declared: int) -> bytes:
    """Blank frames of the same size."""

    def control(number: int) -> bytes:
        return chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, 64, 64, 0, 0, 1, 10, 0, 0))

    further = b"".join(
        control(2 * number - 1) + chunk(b"fdAT", struct.pack(">I", 2 * number) + SMALL)
        for number in range(1, frames)
    )
    whole = png(SMALL, chunk(b"acTL", struct.pack(">II", declared, 0)), control(0))
    return whole[:-12] + further + whole[-12:]


@crafted("apng: 900 blank frames", "ok")
def _() -> bytes:
    return apng(900, 900)


@crafted("apng: two billion frames, as it says", "ok")
def _() -> bytes:
    return apng(3, 2**31 - 1)


@crafted("apng: 20,000 frames", "over")
def _() -> bytes:
    return apng(20_000, 20_000)


# GIF


def gif(body: bytes, *, canvas: int = 64, side: int = 64) -> bytes:
    image = b"," + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\x08" + blocks(lzw(side * side))
    head = b"GIF89a" + struct.pack("<HHBBB", canvas, canvas, 0xF7, 0, 0) + bytes(range(256)) * 3
    return head + body + image + b"\0;"


def lzw(count: int) -> bytes:
    """Clear codes of nine bits and pixels by turns."""
    codes = [256, 0] * (count if count < 5000 else 5000) + [257]
    bits = sum(code << 9 * place for place, code in enumerate(codes))
    return bits.to_bytes(-(-9 * len(codes) // 8), "little")


def blocks(data: bytes, size: int = 255) -> bytes:
    parts = (data[start : start + size] for start in range(0, len(data), size))
    return b"".join(bytes([len(part)]) + part for part in parts)


@crafted("gif: 20,000 frames", "ok")
def _() -> bytes:
    small = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x08" + blocks(lzw(1)) + b"\0"
    return gif(small * 20_000)


@crafted("gif: four million blocks of a comment", "over 65536 blocks")
def _() -> bytes:
    return gif(b"!\xfe" + b"\x01x" * 4_000_000 + b"\0")


@crafted("gif: a long comment", "ok")
def _() -> bytes:
    return gif(b"!\xfe" + (b"\xff" + b"x" * 255) * 60_000 + b"\0")


@crafted("gif: a size without data", "truncated: less data")
def _() -> bytes:
    return gif(b"", canvas=SIDE, side=SIDE)


@crafted("gif: a small frame on 49 megapixels", "ok")
def _() -> bytes:
    return gif(b"", canvas=SIDE)


# TIFF


def tiff(
    entries: Sequence[tuple[int, int, int, int]], tail: bytes = b"", following: int = 0
) -> bytes:
    table = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + table + struct.pack("<I", following)
    return head.ljust(500, b"\0") + tail


def gray(width: int, height: int, rows: int, *, depth: int = 8, packing: int = 1) -> list:
    tags = {256: width, 257: height, 258: depth, 259: packing, 262: 1, 277: 1, 278: rows, 284: 1}
    return [(tag, 4, 1, value) for tag, value in tags.items()]


@crafted("tiff: a height without data", "truncated: less data")
def _() -> bytes:
    entries = [*gray(190, 262_000, 128, depth=16), (273, 4, 1, 500), (279, 4, 1, 49_152)]
    return tiff(entries, bytes(49_152))


@crafted("tiff: packed, a height without data", "truncated: less data")
def _() -> bytes:
    data = zeros(64 * 64)
    entries = [*gray(SIDE, SIDE, SIDE, packing=8), (273, 4, 1, 500), (279, 4, 1, len(data))]
    return tiff(entries, data)


@crafted("tiff: 1.5 million strips", "metadata of")
def _() -> bytes:
    count = 1_500_000
    entries = [*gray(1, count, 1), (273, 4, count, 500), (279, 4, count, 500)]
    return tiff(entries, struct.pack("<I", 500) * count)


@crafted("tiff: 300,000 strips that share their data", "truncated: less data")
def _() -> bytes:
    count = 300_000
    entries = [*gray(160, count, 1), (273, 4, count, 500), (279, 4, count, 500 + 4 * count)]
    return tiff(entries, struct.pack("<I", 500) * count + struct.pack("<I", 160) * count)


@crafted("tiff: 40,000 strips", "ok")
def _() -> bytes:
    count = 40_000
    entries = [*gray(160, count, 1), (273, 4, count, 500), (279, 4, count, 500 + 4 * count)]
    tail = b"".join(struct.pack("<I", 320_500 + 160 * row) for row in range(count))
    return tiff(entries, tail + struct.pack("<I", 160) * count + bytes(160 * count))


@crafted("tiff: a chain of 5,000 directories", "ok")
def _() -> bytes:
    entries = [*gray(64, 64, 64), (273, 4, 1, 500), (279, 4, 1, 4096)]
    one = struct.pack("<H", 0)
    chain = b"".join(one + struct.pack("<I", 4596 + 6 * (place + 1)) for place in range(5000))
    return tiff(entries, bytes(4096) + chain, following=4596)


@crafted("tiff: a directory that follows itself", "ok")
def _() -> bytes:
    entries = [*gray(64, 64, 64), (273, 4, 1, 500), (279, 4, 1, 4096)]
    return tiff(entries, bytes(4096), following=8)


@crafted("tiff: entries that share their value", "metadata of")
def _() -> bytes:
    entries = [*gray(64, 64, 64), (273, 4, 1, 500), (279, 4, 1, 4096)]
    return tiff([*entries, *((50_000 + n, 7, 400_000, 500) for n in range(20))], bytes(400_000))


@crafted("tiff: 49 megapixels, deflated", "ok")
def _() -> bytes:
    data = zeros(SIDE * SIDE)
    entries = [*gray(SIDE, SIDE, SIDE, packing=8), (273, 4, 1, 500), (279, 4, 1, len(data))]
    return tiff(entries, data)


# WebP, AVIF, JPEG 2000


@crafted("webp: 5,000 frames", "ok")
def _() -> bytes:
    still = saved(Image.new("RGB", (64, 64)), "WEBP", lossless=True)[12:]
    body = bytes(6) + (63).to_bytes(3, "little") * 2 + bytes(4) + still
    one = b"ANMF" + struct.pack("<I", len(body)) + body
    content = b"VP8X" + struct.pack("<I", 10) + bytes([2, 0, 0, 0]) + b"\x3f\0\0" * 2
    content += b"ANIM" + struct.pack("<I", 6) + bytes(6) + one * 5000
    return b"RIFF" + struct.pack("<I", len(content) + 4) + b"WEBP" + content


@crafted("webp: a large canvas, a small frame", "any")
def _() -> bytes:
    still = saved(Image.new("RGB", (64, 64)), "WEBP", lossless=True)[12:]
    body = bytes(6) + (63).to_bytes(3, "little") * 2 + bytes(4) + still
    content = b"VP8X" + struct.pack("<I", 10) + bytes([2, 0, 0, 0])
    content += (SIDE - 1).to_bytes(3, "little") * 2
    content += b"ANIM" + struct.pack("<I", 6) + bytes(6)
    content += b"ANMF" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(content) + 4) + b"WEBP" + content


@crafted("webp: EXIF entries that share their value", "metadata of")
def _() -> bytes:
    plain = saved(Image.new("RGB", (64, 64)), "WEBP", exif=exif(2, 8))
    large = exif(900, 200_000)
    place = plain.index(b"EXIF")
    return plain[:place] + b"EXIF" + struct.pack("<I", len(large)) + large


@crafted("avif: a size without data", "any")
def _() -> bytes:
    small = saved(Image.new("RGB", (64, 64)), "AVIF", speed=10)
    return small.replace(struct.pack(">II", 64, 64), struct.pack(">II", SIDE, SIDE))


@crafted("avif: many frames", "ok")
def _() -> bytes:
    frames = [Image.new("RGB", (64, 64), (n, n, n)) for n in range(100)]
    return saved(frames[0], "AVIF", speed=10, save_all=True, append_images=frames[1:])


def jpeg2000(width: int, height: int, tile: int) -> bytes:
    small = saved(Image.new("L", (64, 64)), "JPEG2000", no_jp2=True)
    size = struct.pack(">IIIIIIII", width, height, 0, 0, tile, tile, 0, 0)
    return small[:8] + size + small[40:]


@crafted("jpeg 2000: a size without data", "any")
def _() -> bytes:
    return jpeg2000(SIDE, SIDE, SIDE)


@crafted("jpeg 2000: 62,500 tiles", "any")
def _() -> bytes:
    return jpeg2000(SIDE, SIDE, 28)


# BMP, PPM


def bmp(packing: int, body: bytes, *, depth: int = 8, side: int = SIDE) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, side, side, 1, depth, packing, len(body), 0, 0, 256, 0)
    start = 14 + 40 + 1024
    return b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + info + bytes(1024) + body


@crafted("bmp: a size without data", "corrupt or truncated")
def _() -> bytes:
    return bmp(0, bytes(1000))


@crafted("bmp: runs of one pixel", "any")
def _() -> bytes:
    return bmp(1, b"\x01\x07" * 14_000_000)


@crafted("ppm: numbers as text", "any")
def _() -> bytes:
    return b"P3 2300 2300 255\n" + b"7 " * (3 * 2300 * 2300)


@crafted("ppm: a comment of 16 MB", "any")
def _() -> bytes:
    return b"P6\n#" + b"x" * 16_000_000 + b"\n64 64 255\n" + bytes(64 * 64 * 3)


@crafted("ppm: far too large", "too many pixels")
def _() -> bytes:
    return b"P6\n999999 999999\n255\n" + bytes(100)


# Formats that are not read, or only with the extra `photos`


@crafted("ico: a large entry", "no image of an allowed format")
def _() -> bytes:
    inside = png(zeros(SIDE * (1 + SIDE)), width=SIDE, height=SIDE, colour=0)
    entry = struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 8, len(inside), 22)
    return struct.pack("<HHH", 0, 1, 1) + entry + inside


@crafted("psd: 30,000 x 30,000", "a Photoshop picture")
def _() -> bytes:
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 30_000, 30_000, 8, 3)
    return head + bytes(12) + struct.pack(">H", 1) + struct.pack(">H", 2) * 90_000


@crafted("heic: 65,535 x 65,535", "refused")
def _() -> bytes:
    size = struct.pack(">I4sIII", 20, b"ispe", 0, 65_535, 65_535)
    return b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + size * 1000


@crafted("jpeg xl: a bare codestream", "refused")
def _() -> bytes:
    return b"\xff\x0a" + bytes(100_000)


def main() -> None:
    print(f"budget: {budget_for(MAX_PIXELS)}")
    for name, (draw, _) in DRAWN.items():
        data = draw()
        began = time.monotonic()
        try:
            outcome, _ = within_budget(Measured(), data, max_pixels=MAX_PIXELS, isolate=True)
        except ImageError as error:
            outcome = error.reason
        size, wall = len(data) / 1e6, time.monotonic() - began
        print(f"{name:50} {size:7.2f} MB {wall:6.2f} s  {outcome}", flush=True)
