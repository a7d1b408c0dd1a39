"""Measure the time and memory that `asl serve` takes to answer costly uploads.

  python scripts/measure_uploads.py                  every crafted picture, and large honest ones
  python scripts/measure_uploads.py --only jpeg      those whose name contains a text

The service runs with its default limits. Each picture is searched among references that resemble
it (`k=100`: as many pairs are verified as a client may ask for), and added. Memory is that of the
service and the processes that it starts, beside what they had before the upload. Exit code 0: every
upload was answered within 10 s (on a busy machine: of processor time) and 500 MB, none with 5xx.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from hostile_uploads import encoded, request, started

from asl.data.scenes import render_scene
from tests.data.crafted_pictures import DRAWN

SECONDS, MEGABYTES = 10.0, 500
REFERENCES = 100
_POLL_SECONDS = 0.005
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")
JPEG2000 = {"quality_layers": [20], "irreversible": True}
Upload = Callable[[], bytes]


def main() -> int:
    """Start the service, upload everything, print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", default="", help="part of the names of the pictures to send")
    parser.add_argument("--model", default="asl_lite1")
    parser.add_argument("--honest", action="store_true", help="large honest pictures only")
    options = parser.parse_args()
    uploads = _honest() if options.honest else _crafted() | _honest()
    exceeded = []
    with (
        tempfile.TemporaryDirectory() as folder,
        started(Path(folder), options.model, ()) as (process, port),
    ):
        for number in range(REFERENCES):
            request(port, "POST", "/references", _photo(number))
        for name, draw in uploads.items():
            if options.only in name and _exceeds(name, draw(), port, Tree(process.pid)):
                exceeded.append(name)
    print(f"beyond {SECONDS:g} s or {MEGABYTES} MB, or 5xx: {', '.join(exceeded) or 'none'}")
    return 1 if exceeded else 0


def _exceeds(name: str, data: bytes, port: int, tree: Tree) -> bool:
    """Search and add a picture; print what it took."""
    exceeds = False
    for path in ("/search?k=100", "/references"):
        with tree.measured() as took:
            status, reply = request(port, "POST", path, data)
        print(
            f"{name:48} {len(data) / 1e6:5.1f} MB {path[1:7]} {status} {took['wall']:5.1f} s"
            f" {took['cpu']:5.1f} CPU s {took['megabytes']:4.0f} MB  {_said(reply)}",
            flush=True,
        )
        exceeds |= status >= 500 or status == 0
        exceeds |= min(took["wall"], took["cpu"]) > SECONDS or took["megabytes"] > MEGABYTES
        if path == "/references" and status == 201:
            request(port, "DELETE", f"/references/{json.loads(reply)['reference']['id']}")
    return exceeds


def _said(reply: bytes) -> str:
    with contextlib.suppress(ValueError):
        facts = json.loads(reply)
        return facts.get("error", "")[:90] or f"{len(facts.get('matches', []))} matches"
    return ""


class Tree:
    """A process and those that it started."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    @contextlib.contextmanager
    def measured(self) -> Iterator[dict[str, float]]:
        """Measure wall and processor seconds, and the megabytes at most beside those before."""
        took: dict[str, float] = {}
        before, cpu, began = self._bytes(), self._cpu(), time.monotonic()
        peaks, ended = [before], threading.Event()

        def watch() -> None:
            while not ended.wait(_POLL_SECONDS):
                peaks.append(self._bytes())

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield took
        finally:
            took["wall"], took["cpu"] = time.monotonic() - began, self._cpu() - cpu
            ended.set()
            watcher.join()
            took["megabytes"] = (max(peaks) - before) / 1e6

    def _pids(self) -> list[int]:
        children = []
        for path in Path(f"/proc/{self._pid}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                children += [int(pid) for pid in path.read_text(encoding="ascii").split()]
        return [self._pid, *children]

    def _bytes(self) -> int:
        total = 0
        for pid in self._pids():
            with contextlib.suppress(OSError):
                total += int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        return total * _PAGE

    def _cpu(self) -> float:
        """Return processor seconds, those of ended processes included."""
        total = 0
        for pid in self._pids():
            with contextlib.suppress(OSError):
                text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
                fields = text.rsplit(")", 1)[1].split()
                own, of_ended = fields[11:13], fields[13:15]
                total += sum(map(int, [*own, *(of_ended if pid == self._pid else ())]))
        return total / _TICKS


def _crafted() -> dict[str, Upload]:
    return {name: draw for name, (draw, _) in DRAWN.items()}


def _honest() -> dict[str, Upload]:
    def draw(name: str) -> bytes:
        make, side, form, how = HONEST[name]
        return encoded(make(side), form, **how)

    return {f"photograph: {name}": partial(draw, name) for name in HONEST}


def _photo(number: int) -> bytes:
    """Another photograph of the scene that the honest uploads show."""
    pixels = render_scene(1, look=number % 5, height=700 + number, width=900)
    return encoded(Image.fromarray(pixels), "JPEG")


@lru_cache(maxsize=1)
def scene(side: int) -> Image.Image:
    return Image.fromarray(render_scene(1, height=side, width=side))


def smooth(side: int) -> Image.Image:
    """The same without noise, which no lossless format compresses."""
    quarter = (side // 4, side // 4)
    return scene(side).resize(quarter, Image.Resampling.BOX).resize((side, side))


def palette(side: int) -> Image.Image:
    return smooth(side).convert("P")


def translucent(side: int) -> Image.Image:
    image = smooth(side).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


# Large pictures that people have: of up to 64 megapixels, or nearly 32 MB.
HONEST: dict[str, tuple[Callable[[int], Image.Image], int, str, dict[str, object]]] = {
    "64 megapixels, JPEG": (scene, 8000, "JPEG", {"quality": 92}),
    "64 megapixels, progressive JPEG": (scene, 8000, "JPEG", {"progressive": True}),
    "49 megapixels, JPEG 4:4:4": (scene, 7000, "JPEG", {"quality": 96, "subsampling": 0}),
    "49 megapixels, progressive JPEG": (
        scene,
        7000,
        "JPEG",
        {"quality": 96, "progressive": True},
    ),
    "49 megapixels, progressive JPEG 4:4:4": (
        scene,
        7000,
        "JPEG",
        {"quality": 92, "progressive": True, "subsampling": 0},
    ),
    "10 megapixels, PNG": (scene, 3200, "PNG", {"compress_level": 1}),
    "49 megapixels, PNG": (smooth, 7000, "PNG", {"compress_level": 3}),
    "49 megapixels, PNG with transparency": (translucent, 7000, "PNG", {"compress_level": 1}),
    "10 megapixels, TIFF": (scene, 3200, "TIFF", {}),
    "49 megapixels, TIFF of JPEG": (scene, 7000, "TIFF", {"compression": "jpeg", "quality": 85}),
    "49 megapixels, TIFF of LZW": (palette, 7000, "TIFF", {"compression": "tiff_lzw"}),
    "49 megapixels, deflated TIFF": (smooth, 7000, "TIFF", {"compression": "tiff_adobe_deflate"}),
    "24 megapixels, WebP": (scene, 4900, "WEBP", {"quality": 85, "method": 0}),
    "24 megapixels, lossless WebP": (smooth, 4900, "WEBP", {"lossless": True, "method": 0}),
    "24 megapixels, AVIF": (scene, 4900, "AVIF", {"quality": 60, "speed": 10}),
    "49 megapixels, AVIF": (scene, 7000, "AVIF", {"quality": 60, "speed": 10}),
    "24 megapixels, JPEG 2000": (scene, 4900, "JPEG2000", JPEG2000),
    "49 megapixels, JPEG 2000": (scene, 7000, "JPEG2000", JPEG2000),
    "10 megapixels, BMP": (scene, 3200, "BMP", {}),
    "49 megapixels, GIF": (palette, 7000, "GIF", {}),
    "10 megapixels, PPM": (scene, 3200, "PPM", {}),
}


if __name__ == "__main__":
    sys.exit(main())
