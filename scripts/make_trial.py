r"""Make a mixed folder of pictures as people have them, and check what a clean-up took from it.

  python scripts/make_trial.py PHOTOS... OUT --videos VIDEOS
  asl scan OUT/photos --output OUT/scan
  asl review OUT/scan --rule keep-original --apply CODE
  python scripts/make_trial.py OUT --check

OUT/photos gets photographs, copies that lose nothing beside their original (saved again, smaller,
cropped, another format, grey, brighter, mirrored), copies with something over them, bursts (frames
of VIDEOS; near-still shots whose noise, light or one thing differ), screens that differ in one
line, identical files and broken ones; OUT/truth.csv one row a file (file, kind, source, sha256).
With --check, a file that is gone is right where the same bytes stay, or where it is a copy that
loses nothing and its source stays; everything else is wrong.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from draw_material import draw_picture
from PIL import Image, ImageDraw

from asl.data.images import decode_image
from asl.data.scenes import render_scene
from asl.storage import atomic_text

Pixels = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
SCREENS = ("page", "slide", "interface", "chat", "chart", "diagram")
COPY = "copy"  # the kind that may go as long as its source stays
SHARES = {"copies": 0.25, "altered": 0.05, "bursts": 0.15, "screens": 0.1, "identical": 0.04}


@dataclass(eq=False)
class Trial:
    """The folder while it is made.

    Attributes:
        folder: of the pictures.
        chance: random numbers.
        rows: of the truth.
    """

    folder: Path
    chance: random.Random
    rows: list[tuple[str, str, str, str]] = field(default_factory=list)

    def put(self, place: str, data: bytes, kind: str, source: str = "") -> str:
        """Write a file; return its name."""
        path = self.folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.rows.append((place, kind, source, hashlib.sha256(data).hexdigest()))
        return place

    def number(self) -> int:
        """Count the files."""
        return len(self.rows)

    def noise(self) -> np.random.Generator:
        """Return random numbers for pixels."""
        return np.random.default_rng(self.chance.getrandbits(32))


def save(image: Pixels, quality: int = 90, style: str = "JPEG", taken: str = "") -> bytes:
    """Encode; ``taken`` (EXIF) makes it the photograph of a camera."""
    buffer = io.BytesIO()
    exif = Image.Exif()
    if taken:
        exif[0x0110], exif[0x0132] = "Camera One", taken
        exif.get_ifd(0x8769)[0x9003] = taken
    Image.fromarray(image).save(buffer, style, quality=quality, exif=exif)
    return buffer.getvalue()


def scaled(image: Pixels, factor: float) -> Pixels:
    size = (round(image.shape[1] * factor), round(image.shape[0] * factor))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def cropped(image: Pixels, chance: random.Random) -> Pixels:
    height, width = image.shape[:2]
    share = chance.uniform(0.65, 0.9)
    h, w = round(height * share), round(width * share)
    top, left = chance.randrange(height - h), chance.randrange(width - w)
    return image[top : top + h, left : left + w]


def grey(image: Pixels) -> Pixels:
    return np.asarray(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB))


def brighter(image: Pixels) -> Pixels:
    return np.asarray(np.clip(image.astype(np.float32) * 1.15 + 8, 0, 255), np.uint8)


COPIES: dict[str, Callable[[Pixels, random.Random], tuple[str, bytes]]] = {
    "saved again": lambda image, r: ("jpg", save(image, r.randrange(60, 92))),
    "smaller": lambda image, r: ("jpg", save(scaled(image, r.uniform(0.45, 0.8)), 75)),
    "cropped": lambda image, r: ("jpg", save(cropped(image, r), 88)),
    "as PNG": lambda image, r: ("png", save(image, style="PNG")),
    "as WebP": lambda image, r: ("webp", save(image, 80, "WEBP")),
    "grey": lambda image, r: ("jpg", save(grey(image), 88)),
    "brighter": lambda image, r: ("jpg", save(brighter(image), 88)),
    "mirrored": lambda image, r: ("jpg", save(np.ascontiguousarray(image[:, ::-1]), 88)),
    "as HEIC": lambda image, r: ("heic", save(image, 80, "HEIF")),
}


def captioned(image: Pixels, text: str) -> Pixels:
    sheet = Image.fromarray(image)
    height = max(12, image.shape[0] // 9)
    pen = ImageDraw.Draw(sheet)
    pen.rectangle((0, image.shape[0] - height - 4, image.shape[1], image.shape[0]), "white")
    pen.text((8, image.shape[0] - height - 2), text, "black", font_size=height * 0.8)
    return np.asarray(sheet, np.uint8)


def altered(trial: Trial, image: Pixels) -> tuple[str, Pixels]:
    """Put something over or around a picture that its original lacks."""
    kind = trial.chance.choice(("captioned", "sticker", "in a collage"))
    if kind == "captioned":
        return kind, captioned(image, "see you soon")
    if kind == "sticker":
        image = image.copy()
        centre = (image.shape[1] // 3, image.shape[0] // 3)
        cv2.circle(image, centre, image.shape[0] // 8, (240, 200, 40), -1, cv2.LINE_AA)
        return kind, image
    other = render_scene(trial.chance.getrandbits(20), height=image.shape[0], width=image.shape[1])
    return kind, np.concatenate([image, other], axis=1)


def near_still(trial: Trial, image: Pixels, count: int) -> Iterator[Pixels]:
    """Yield shots of a hand that hardly moves: new noise, a shift below a pixel, other light."""
    chance = trial.chance
    moving = chance.random() < 0.5
    still = chance.random() < 0.3
    size = max(6, image.shape[0] // 12)
    for shot in range(count):
        own = image.copy()
        if moving:  # a small thing that wanders
            at = (image.shape[1] // 2 + shot * size // 2, 2 * image.shape[0] // 3)
            cv2.circle(own, at, size, (170, 60, 50), -1, cv2.LINE_AA)
        shift = (0.0, 0.0) if still else (chance.uniform(-0.7, 0.7), chance.uniform(-0.7, 0.7))
        matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float32)
        border = cv2.BORDER_REPLICATE
        own = cv2.warpAffine(own, matrix, own.shape[1::-1], flags=2, borderMode=border)
        grain = trial.noise().normal(0, chance.uniform(2.0, 4.0), own.shape)
        light = 1.0 if still else chance.uniform(0.98, 1.02)
        yield np.asarray(np.clip(own * light + grain, 0, 255), np.uint8)


def put_burst(trial: Trial, shots: list[Pixels], place: str) -> None:
    """Write shots of one moment, with the dates of a camera in half of the cases."""
    dated = trial.chance.random() < 0.5
    for second, shot in enumerate(shots):
        taken = f"2024:05:01 12:{trial.number() % 60:02}:{second:02}" if dated else ""
        name = f"{place}/IMG_{trial.number():04}.jpg"
        trial.put(name, save(shot, 92, taken=taken), "burst", place)


def put_screens(trial: Trial, count: int) -> None:
    """Write drawn screens: others of one template, and twins that differ in one short line."""
    for number in range(count // 2):
        kind = SCREENS[number % len(SCREENS)]
        screen = draw_picture(kind, number % 3, number, fonts="sans", seed=23)
        twin = Image.fromarray(screen)
        top = trial.chance.randrange(screen.shape[0] // 8, 7 * screen.shape[0] // 8)
        pen, size = ImageDraw.Draw(twin), max(10, screen.shape[0] // 40)
        left = screen.shape[1] // 10
        pen.rectangle((left, top, left + 7 * size, top + size + 4), "white")
        pen.text((left + 2, top + 1), f"Nr. {number:04}", "black", font_size=size)
        for own in (screen, np.asarray(twin, np.uint8)):
            name = f"Screenshots/Screenshot_{trial.number():04}.png"
            trial.put(name, save(own, style="PNG"), "screen")


def put_broken(trial: Trial, photo: bytes) -> None:
    for name, data in (
        ("cut.jpg", photo[: len(photo) // 3]),
        ("empty.jpg", b""),
        ("letter.png", b"Dear reader, this is no picture."),
        ("notes.txt", b"notes"),
    ):
        trial.put(f"Downloads/{name}", data, "broken")


def heic() -> bool:
    """Register HEIC where its encoder is installed (``pip install pillow-heif``)."""
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True


def make(photos: list[Path], videos: Path | None, folder: Path, images: int, seed: int) -> None:
    """Write the folder and its truth."""
    trial = Trial(folder / "photos", random.Random(seed))
    trial.folder.mkdir(parents=True)
    counts = {name: round(share * images) for name, share in SHARES.items()}
    kinds = [kind for kind in COPIES if kind != "as HEIC" or heic()]
    trial.chance.shuffle(photos)

    def original(kind: str = "original") -> tuple[str, Pixels, bytes]:
        number = trial.number()
        if number % 3:
            data = photos.pop().read_bytes()
        else:  # photographs of the size that cameras write
            drawn = render_scene(seed + number, height=1200, width=1600)
            data = save(drawn, 93, taken=f"2023:04:{1 + number % 28:02} 10:00:00")
        name = trial.put(f"Camera/IMG_{number:04}.jpg", data, kind)
        return name, decode_image(data), data

    made = 0
    while made < counts["copies"]:
        source, image, _ = original()
        for kind in trial.chance.sample(kinds, trial.chance.randrange(1, 4)):
            ending, data = COPIES[kind](image, trial.chance)
            place = f"Messages/{kind} {trial.number():04}.{ending}"
            trial.put(place, data, COPY, source)
            made += 1
    for _ in range(counts["altered"]):
        source, image, _ = original()
        kind, own = altered(trial, image)
        trial.put(f"Messages/{kind} {trial.number():04}.jpg", save(own, 85), "altered", source)
    for number in range(counts["identical"]):
        source, _, data = original()
        trial.put(f"Downloads/{Path(source).stem} ({number}).jpg", data, "identical", source)
    bursts = list(video_shots(videos, trial.chance)) if videos else []
    for number in range(counts["bursts"] // 3):
        if bursts and number % 2:
            shots = bursts.pop()
        else:
            _, image, _ = original("burst")
            shots = list(near_still(trial, image, 3))
        put_burst(trial, shots, f"Bursts/{number:02}")
    put_screens(trial, counts["screens"])
    put_broken(trial, photos[0].read_bytes())
    while trial.number() < images:
        original("single")
    with atomic_text(folder / "truth.csv") as file:
        csv.writer(file).writerows([("file", "kind", "source", "sha256"), *trial.rows])
    print(f"{trial.number()} files in {trial.folder}: {dict(Counter(r[1] for r in trial.rows))}")


def video_shots(videos: Path, chance: random.Random) -> Iterator[list[Pixels]]:
    """Yield three neighbouring frames of every video, twice where it is long enough."""
    for video in sorted(path for path in videos.iterdir() if path.is_dir()):
        frames = sorted(video.iterdir())
        for start in chance.sample(range(0, len(frames) - 2, 3), min(2, len(frames) // 6)):
            yield [decode_image(frame) for frame in frames[start : start + 3]]


def check(folder: Path) -> int:
    """Print what is gone by kind, right and wrong, and changed files; 1 if anything is wrong."""
    with (folder / "truth.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    digests = {row["file"]: row["sha256"] for row in rows}
    staying = {
        row["file"]: hashlib.sha256(path.read_bytes()).hexdigest()
        for row in rows
        if (path := folder / "photos" / row["file"]).exists()
    }
    contents = set(staying.values())
    changed = [name for name, digest in staying.items() if digest != digests[name]]
    right, wrong = Counter[str](), []
    for row in rows:
        if row["file"] in staying:
            continue
        source = digests.get(row["source"])
        if row["sha256"] in contents or (row["kind"] == COPY and source in contents):
            right[row["kind"]] += 1
        else:
            wrong.append(row)
    copies = sum(row["kind"] in (COPY, "identical") for row in rows)
    print(f"{len(rows)} files, {len(staying)} there, {len(changed)} of them changed")
    print(f"{right.total()} gone rightly {dict(right)}, of {copies} copies")
    print(f"{len(wrong)} gone wrongly")
    for row in wrong:
        print(f"  {row['kind']}: {row['file']} {row['source']}")
    return 1 if wrong or changed else 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path, nargs="*", help="folders of photographs")
    parser.add_argument("output", type=Path, metavar="OUT")
    parser.add_argument("--videos", type=Path, help="folder with a folder of frames per video")
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if options.check:
        return check(options.output)
    photos = sorted(file for folder in options.photos for file in folder.rglob("*.jpg"))
    if len(photos) < options.images:
        parser.error(f"photos: {len(photos)} .jpg files; --images {options.images} needs as many")
    make(photos, options.videos, options.output, options.images, options.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
