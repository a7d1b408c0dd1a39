"""Plant known leaks between two splits of photographs, and count those that `asl leaks` finds.

  python scripts/plant_leaks.py PHOTOS OUT --videos VIDEOS
  asl leaks OUT/train OUT/test --output OUT/found
  python scripts/plant_leaks.py --score OUT

PHOTOS are folders of photographs of which no two are alike; VIDEOS a folder of frames per video.
OUT gets train/, test/ and truth.csv (train, test, kind). Without VIDEOS no frames are planted.
"""

from __future__ import annotations

import argparse
import csv
import random
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from asl.data.images import decode_image, encode_image
from asl.edits.benchmark_kinds import benchmark_kinds
from asl.edits.engine.foreign_images import Pool
from asl.edits.engine.make_views import view_rng
from asl.edits.engine.view import View
from asl.storage import atomic_text

CROPS = ("crop", "small_crop")
COPIES = ("colour", "jpeg", "text", "pad", "flip", "blur", "aspect", "grayscale")
KINDS = ("identical file", "same pixels", "copy", "crop", "same moment")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path, nargs="*")
    parser.add_argument("--videos", type=Path)
    parser.add_argument("--images", type=int, default=200, help="of each split (%(default)s)")
    parser.add_argument("--leaks", type=int, default=4, help="of each kind (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--score", type=Path, help="OUT of an earlier call, after asl leaks")
    options = parser.parse_args()
    if options.score:
        return score(options.score)
    *folders, output = options.photos
    plant(folders, output, options)
    return 0


def plant(folders: list[Path], output: Path, options: argparse.Namespace) -> None:
    """Write both splits and the truth."""
    chance = random.Random(options.seed)
    photos = sorted(file for folder in folders for file in folder.rglob("*.jpg"))
    chance.shuffle(photos)
    frames = list(_frames(options, chance))
    own = options.images - len(frames)
    train, test = photos[:own], photos[own : 2 * own - 4 * options.leaks]
    for split in ("train", "test"):
        (output / split).mkdir(parents=True)
    pool = Pool([decode_image(file) for file in photos[-20:]])
    rows = []
    for split, files in (("train", train), ("test", test)):
        for file in files:
            shutil.copy(file, output / split / file.name)
    sources = chance.sample(train, 4 * options.leaks)
    for number, source in enumerate(sources):
        kind = KINDS[number % 4]
        rows.append((source.name, _copy(source, kind, output / "test", number, pool), kind))
    for first, second in frames:
        shutil.copy(first, output / "train" / f"{first.parent.name}-{first.name}")
        shutil.copy(second, output / "test" / f"{second.parent.name}-{second.name}")
        names = (f"{file.parent.name}-{file.name}" for file in (first, second))
        rows.append((*names, "same moment"))
    with atomic_text(output / "truth.csv") as file:
        csv.writer(file).writerows([("train", "test", "kind"), *rows])


def _frames(options: argparse.Namespace, chance: random.Random) -> Iterator[tuple[Path, Path]]:
    """Yield neighbouring frames of different videos."""
    if options.videos is None:
        return
    videos = sorted(folder for folder in options.videos.iterdir() if folder.is_dir())
    for folder in chance.sample(videos, options.leaks):
        frames = sorted(folder.iterdir())
        place = chance.randrange(len(frames) - 1)
        yield frames[place], frames[place + 1]


def _copy(source: Path, kind: str, folder: Path, number: int, pool: Pool) -> str:
    """Write a copy of a photograph; return its name."""
    if kind == "identical file":
        name = f"leak-{number:02}{source.suffix}"
        shutil.copy(source, folder / name)
        return name
    image = decode_image(source)
    if kind == "same pixels":
        name = f"leak-{number:02}.png"
        (folder / name).write_bytes(encode_image(image, 0))
        return name
    choices = CROPS if kind == "crop" else COPIES
    edit = choices[number // 4 % len(choices)]
    view = View.original(image, foreign=pool, target=max(image.shape[:2]))
    edited = benchmark_kinds()[edit](view, view_rng(key=source.name, seed=0, number=number))
    name = f"leak-{number:02}-{edit}.jpg"
    (folder / name).write_bytes(encode_image(edited.image, 85))
    return name


def score(output: Path) -> int:
    """Print planted, found and false leaks by kind."""
    with (output / "truth.csv").open(newline="") as file:
        truth = {(row["train"], row["test"]): row["kind"] for row in csv.DictReader(file)}
    with (output / "found" / "leaks.csv").open(newline="") as file:
        found = {
            (Path(row["train"]).name, Path(row["test"]).name): row["kind"]
            for row in csv.DictReader(file)
        }
    print(f"{'kind':<16}{'planted':>8}{'found':>8}{'as this kind':>14}{'false':>8}")
    for kind in KINDS:
        planted = [pair for pair, own in truth.items() if own == kind]
        hits = Counter(found.get(pair) for pair in planted)
        false = [pair for pair, own in found.items() if own == kind and pair not in truth]
        print(
            f"{kind:<16}{len(planted):>8}{len(planted) - hits[None]:>8}{hits[kind]:>14}"
            f"{len(false):>8}"
        )
        for pair in false:
            print(f"  false: {' '.join(pair)}")
        for pair in planted:
            if found.get(pair) != kind:
                print(f"  {found.get(pair, 'missed')}: {' '.join(pair)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
