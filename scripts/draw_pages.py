"""Take the pictures of the documentation's pages: the gallery of a scan, the page of the service.

  python scripts/draw_pages.py GARMENTS docs/photographs     gallery.png, service.png

GARMENTS is a folder with the public photographs of garments (CC0 1.0) under their published names.
Some are copied with edits, scanned, served, and shown by a headless Chromium (``apt-get install
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
    "dress": "be545b93-c60d-4be6-ae3a-64efd37b7fee",
    "hat": "cdcaaf73-27b2-4745-b5d0-e59b2c470fa9",
    "shirt": "ff0535f7-c9f4-47f7-8aae-373aa3e09f04",
    "skirt": "ccb57961-f839-44fc-be22-8b8a5944f8b3",
    "gown": "9e578f34-a6df-46f6-80b0-1dfd30b7fa36",
    "shoes": "ce41d09a-154c-41e7-a382-99ba84dee49a",
    "sweater": "8fdc3533-5ae0-4111-9bb9-899a9156868f",
    "blouse": "acf7a391-8450-453d-898b-2a4a9d2886f6",
}
GALLERY_SIZE = 1200, 1330  # three rows of groups
SERVICE_SIZE = 1080, 790
PHONE_HEIGHT = 2400
COLOURS = 256  # of the saved pictures, which keeps them small


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path, metavar="GARMENTS")
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
    """Lay out a small library with copies, a copy of a copy and a burst in it."""
    images = {name: read(source / f"{file}.jpg") for name, file in PHOTOS.items()}
    for name, file in PHOTOS.items():
        shutil.copy(source / f"{file}.jpg", at(folder / f"{name}.jpg"))
    shop = folder / "shop"
    save(shop / "sale.jpg", captioned(grey(images["dress"])))
    save(shop / "sale-top.jpg", crop(read(shop / "sale.jpg"), 0.3, 1.0))
    shutil.copy(folder / "dress.jpg", shop / "dress (1).jpg")
    save(shop / "hat-mirrored.jpg", smaller(images["hat"])[:, ::-1])
    frame = cv2.copyMakeBorder(images["shirt"], *(24,) * 4, cv2.BORDER_CONSTANT, value=(60, 40, 30))
    save(shop / "shirt-framed.png", frame)
    for number in range(3):
        save_shot(folder / f"IMG_{number + 1:04d}.jpg", images["shoes"], number)
    (folder / "shoes.jpg").unlink()


def read(path: Path) -> Pixels:
    image = cv2.imread(str(path))
    if image is None:
        raise SystemExit(f"error: {path}: not there, or no picture")
    return image


def at(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def save_shot(path: Path, image: Pixels, number: int) -> None:
    """Save a picture as one of several shots, a second apart, by a camera that moves a little."""
    from PIL import Image

    height, width = image.shape[:2]
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    rng = np.random.default_rng(number)
    moved = corners + rng.uniform(-6, 6, corners.shape).astype(np.float32)
    matrix = cv2.getPerspectiveTransform(corners, moved)
    warped = cv2.warpPerspective(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
    noisy = np.clip(warped + rng.normal(0, 3, warped.shape), 0, 255).astype(np.uint8)
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Canon", "Canon EOS 80D"
    exif.get_ifd(0x8769)[0x9003] = f"2024:05:01 10:00:0{number}"
    Image.fromarray(noisy[..., ::-1].copy()).save(at(path), quality=92, exif=exif)


def save(path: Path, image: Pixels, quality: int = 85) -> None:
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if path.suffix == ".jpg" else []
    cv2.imwrite(str(at(path)), image, options)


def grey(image: Pixels) -> Pixels:
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)


def smaller(image: Pixels) -> Pixels:
    return cv2.resize(image, None, fx=0.8, fy=0.8, interpolation=cv2.INTER_AREA)


def crop(image: Pixels, start: float, end: float) -> Pixels:
    height, width = image.shape[:2]
    return image[int(start * height) : int(end * height), int(start * width) : int(end * width)]


def captioned(image: Pixels) -> Pixels:
    image = image.copy()
    height, width = image.shape[:2]
    cv2.rectangle(image, (0, height - 40), (width, height), (255, 255, 255), -1)
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(image, "Sale: now 9.90", (12, height - 12), font, 0.5, (60, 40, 30), 1, cv2.LINE_AA)
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
    shutil.copy(folder / "photos" / "shop" / "sale.jpg", query)
    shutil.rmtree(folder / "photos" / "shop")
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
