r"""Write families of copies with exact truth: trees in which copies are made from copies.

  python scripts/make_families.py PHOTOS OUT --families 24 --level moderate
  python scripts/make_families.py PHOTOS OUT --families 24 --level disc_like --seed 1

OUT/images gets every member, OUT/truth.csv one row a copy (child, parent), OUT/families.csv one row
a member (member, family, original). The original of a family is a file of PHOTOS, byte for byte;
every other member is the recipe (--level: a recipe of conf/edits) applied to the decoded file of a
member drawn among the earlier ones, saved as a JPEG of quality 70 to 95. A copy that shows too
little of the original, or has a side below 64 pixels, is drawn again.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from asl.console.progress import progress_bar
from asl.data.catalog import Catalog, open_catalog
from asl.data.images import decode_image
from asl.edits.engine.edit_base import Edit, Rng
from asl.edits.engine.foreign_images import Pool
from asl.edits.engine.view import View
from asl.edits.recipes import load_recipe, recipe_names
from asl.storage import atomic_text
from asl.types import AslError

LEAST_SIDE = 64  # pixels
LEAST_CONTENT = 0.04  # share of the original's area that a member shows
LEAST_COVER = 0.15  # share of a member that shows the original
TRIES = 30  # draws of one member before the next parent is drawn
SMALLEST, LARGEST = 3, 12  # members of a family
QUALITIES = (70, 95)


@dataclass(frozen=True, eq=False)
class Member:
    """A member of a family.

    Attributes:
        name: of its file.
        parent: name of the file that it was made from; empty for the original.
        view: its decoded pixels and their trace to the original.
    """

    name: str
    parent: str
    view: View


def make_member(parent: Member, recipe: Edit, rng: Rng) -> tuple[View, bytes] | None:
    """Edit and save a copy of a member; None where too little of the original is left."""
    view = recipe(parent.view, rng)
    if min(view.size) < LEAST_SIDE or view.content < LEAST_CONTENT or view.cover < LEAST_COVER:
        return None
    quality = int(rng.integers(QUALITIES[0], QUALITIES[1] + 1))
    bgr = np.ascontiguousarray(view.image[..., ::-1])
    data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
    return replace(view, image=decode_image(data)), data


def make_family(
    photo: Path, number: int, folder: Path, recipe: Edit, pool: Pool, rng: Rng
) -> list[Member]:
    """Write one family of 3 to 12 members; names do not say who was made from whom."""
    size = int(rng.integers(SMALLEST, LARGEST + 1))
    names = [f"{number:04d}-{place:02d}.jpg" for place in rng.permutation(size).tolist()]
    original = View.original(decode_image(photo.read_bytes()), foreign=pool)
    shutil.copyfile(photo, folder / names[0])
    members = [Member(names[0], "", original)]
    for name in names[1:]:
        for _ in range(TRIES):
            parent = members[int(rng.integers(len(members)))]
            tries = (make_member(parent, recipe, rng) for _ in range(TRIES))
            if made := next(filter(None, tries), None):
                break
        else:
            raise AslError(f"{photo}: every copy of it shows too little; leave it out")
        view, data = made
        (folder / name).write_bytes(data)
        members.append(Member(name, parent.name, view))
    return members


def write_truth(families: Sequence[Sequence[Member]], output: Path) -> None:
    """Write truth.csv and families.csv."""
    with atomic_text(output / "truth.csv") as file:
        writer = csv.writer(file)
        writer.writerow(("child", "parent"))
        writer.writerows((m.name, m.parent) for family in families for m in family if m.parent)
    with atomic_text(output / "families.csv") as file:
        writer = csv.writer(file)
        writer.writerow(("member", "family", "original"))
        for number, family in enumerate(families):
            writer.writerows((member.name, number, family[0].name) for member in family)


def chosen_photos(catalog: Catalog, count: int, rng: Rng) -> list[Path]:
    """Draw photographs for the originals."""
    if len(catalog) < count:
        raise AslError(f"--families {count}: PHOTOS holds {len(catalog)} images only")
    rows = rng.choice(len(catalog), size=count, replace=False).tolist()
    return [Path(str(catalog.locate(row))) for row in rows]


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--families", type=int, default=24)
    parser.add_argument("--level", choices=recipe_names(), default="moderate")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    rng = np.random.default_rng(options.seed)
    images = options.output / "images"
    try:
        if images.exists() and any(images.iterdir()):
            raise AslError(f"{images}: is not empty; name another output")
        catalog = open_catalog(options.photos)
        photos = chosen_photos(catalog, options.families, rng)
        recipe, pool = load_recipe(options.level), Pool(catalog, decode=decode_image)
        images.mkdir(parents=True, exist_ok=True)
        families = []
        with progress_bar("writing", unit="families") as progress:
            for number, photo in enumerate(photos):
                families.append(make_family(photo, number, images, recipe, pool, rng))
                progress(number + 1, len(photos))
        write_truth(families, options.output)
    except AslError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{sum(map(len, families))} images of {len(families)} families in {images}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
