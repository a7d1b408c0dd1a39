"""Take the pictures of the documentation's pages: the gallery of a scan, the page of the service.

  python scripts/draw_pages.py CALTECH docs/photographs      gallery.png, service.png

CALTECH is a folder with photographs of Caltech-101 (CC BY 4.0) named class_image_0001.jpg. Some
are copied with edits, scanned, served, and shown by a headless Chromium (``apt-get install
chromium``). Run it from the root of the repository.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.app.browser import Browser

Pixels = np.ndarray
PHOTOS = {
    "kangaroo": "kangaroo_image_0005",
    "turtle": "hawksbill_image_0011",
    "lily": "water_lilly_image_0003",
    "ferry": "ferry_image_0004",
    "flamingo": "flamingo_image_0010",
    "tree": "joshua_tree_image_0007",
    "elephant": "elephant_image_0008",
    "pizza": "pizza_image_0007",
}
GALLERY_SIZE = 1200, 934  # two rows of groups
SERVICE_SIZE = 1080, 735
PHONE_HEIGHT = 2400
COLOURS = 256  # of the saved pictures, which keeps them small


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path, metavar="CALTECH")
    parser.add_argument("output", type=Path)
    parser.add_argument("--width", type=int, help="of the pages; 390 shows them as a phone does")
    parser.add_argument("--dark", action="store_true", help="as with dark settings")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_photos(options.photos, folder / "photos")
        with Browser(folder) as browser:
            draw_gallery(browser, folder, options)
            draw_service(browser, folder, options)
    return 0


def make_photos(source: Path, folder: Path) -> None:
    """Lay out a small library with copies in it."""
    images = {name: cv2.imread(str(source / f"{file}.jpg")) for name, file in PHOTOS.items()}
    for name, image in images.items():
        save(folder / f"{name}.jpg", image, 95)
    save(
        folder / "mail" / "kangaroo-small.jpg", cv2.resize(images["kangaroo"], None, fx=0.6, fy=0.6)
    )
    save(folder / "mail" / "kangaroo-face.jpg", crop(images["kangaroo"], 0.1, 0.75))
    save(folder / "mail" / "greetings.jpg", captioned(images["kangaroo"]))
    save(folder / "mail" / "turtle-mirrored.jpg", images["turtle"][:, ::-1])
    border = cv2.copyMakeBorder(
        images["lily"], 24, 24, 24, 24, cv2.BORDER_CONSTANT, value=(60, 40, 30)
    )
    save(folder / "mail" / "lily-framed.png", border)
    shutil.copy(folder / "ferry.jpg", folder / "mail" / "ferry (1).jpg")
    grey = cv2.cvtColor(images["flamingo"], cv2.COLOR_BGR2GRAY)
    save(folder / "mail" / "flamingo-grey.jpg", cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR))


def save(path: Path, image: Pixels, quality: int = 85) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if path.suffix == ".jpg" else []
    cv2.imwrite(str(path), image, options)


def crop(image: Pixels, start: float, end: float) -> Pixels:
    height, width = image.shape[:2]
    return image[int(start * height) : int(end * height), int(start * width) : int(end * width)]


def captioned(image: Pixels) -> Pixels:
    image = image.copy()
    height, width = image.shape[:2]
    cv2.rectangle(image, (0, height - 46), (width, height), (255, 255, 255), -1)
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(image, "Greetings!", (12, height - 14), font, 0.9, (60, 40, 30), 2, cv2.LINE_AA)
    return image


def draw_gallery(browser: Browser, folder: Path, options: argparse.Namespace) -> None:
    command = [sys.executable, "-m", "asl", "scan", "photos", "--output", "scan", "--quiet"]
    subprocess.run(command, cwd=folder, check=True)
    width, height = GALLERY_SIZE
    browser.open(
        (folder / "scan" / "gallery.html").as_uri(),
        dark=options.dark,
        width=options.width or width,
        height=PHONE_HEIGHT if options.width else height,
    )
    browser.wait("[...document.images].every(image => image.complete)")
    take(browser, options.output / "gallery.png")


def draw_service(browser: Browser, folder: Path, options: argparse.Namespace) -> None:
    query = folder / "suspect.jpg"
    shutil.copy(folder / "photos" / "mail" / "greetings.jpg", query)
    shutil.rmtree(folder / "photos" / "mail")
    with serving(folder) as address:
        width, height = SERVICE_SIZE
        browser.open(
            address,
            dark=options.dark,
            width=options.width or width,
            height=PHONE_HEIGHT if options.width else height,
        )
        browser.wait("document.querySelectorAll('#list tr').length > 0")
        browser.choose("#file", [query])
        browser.wait("document.querySelectorAll('.match').length > 0")
        browser.wait("[...document.images].every(image => image.complete && image.naturalWidth)")
        take(browser, options.output / "service.png")


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve the photographs from a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "asl", "serve", "--port", str(port), "--add", "photos"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as process:
        try:
            while True:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()


def take(browser: Browser, path: Path) -> None:
    """Save a screenshot with few colours."""
    from PIL import Image

    browser.picture(path)
    with Image.open(path) as image:
        small = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.FLOYDSTEINBERG)
    small.save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    sys.exit(main())
