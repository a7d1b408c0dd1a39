"""Measure tracked views per second on one core for every recipe, beside untracked views.

  python scripts/bench_edits.py                       generated photographs of 500 x 375
  python scripts/bench_edits.py --photos FOLDER       your own, as 500 x 375 JPEGs of quality 90
  python scripts/bench_edits.py --recipes disc_like light --sizes 256 160

Columns: `tracked` decodes, edits, resizes and measures content, cover and fidelity; `map only`
skips the measuring; `untracked` makes the same pixels without a trace; `cost` is the extra time of
tracking relative to untracked. The row `albumentations` is a plain pipeline with the families of
disc_like, without overlays, text and frames, untracked. Times are CPU seconds of one thread over
several rounds; the columns take turns at every source.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from asl.data.catalog import open_catalog
from asl.data.images import decode_image
from asl.data.scenes import render_scene
from asl.edits.engine import make_views as views
from asl.edits.engine.foreign_images import Pool
from asl.edits.engine.trace import Trace
from asl.edits.engine.view import View
from asl.edits.recipes import load_recipe, recipe_names

Make = Callable[[bytes, int, int], Any]


class Untracked(Trace):
    """Stands in for a trace and keeps nothing but the sizes."""

    def crop(self, top: int, left: int, height: int, width: int) -> Trace:
        return Untracked((height, width), self.source, None)

    def place(self, top: int, left: int, height: int, width: int) -> Trace:
        return Untracked((height, width), self.source, None)

    def resize(self, height: int, width: int) -> Trace:
        return Untracked((height, width), self.source, None)

    def warp(self, matrix: Any, size: tuple[int, int]) -> Trace:
        return Untracked(size, self.source, None)

    def remap(self, grid: Any) -> Trace:
        return Untracked(grid.shape[:2], self.source, None)

    def rearrange(self, matrix: Any, move: Any) -> Trace:
        return Untracked(self.size if matrix[0, 0] else self.size[::-1], self.source, None)

    def masked(self, mask: Any) -> Trace:
        return self

    def hide(self, hidden: Any) -> Trace:
        return self

    def thinned(self, lost: float) -> Trace:
        return self


def plain_pipeline(size: int) -> Any:
    """The families of disc_like that Albumentations has, about as often."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations as a

    return a.Compose(
        [
            a.RandomResizedCrop((size, size), scale=(0.08, 0.95), p=1),
            a.OneOf(
                [
                    a.HorizontalFlip(p=0.4),
                    a.RandomRotate90(p=0.1),
                    a.Rotate(40, p=0.2),
                    a.Perspective((0.05, 0.2), p=0.1),
                    a.Affine(shear=(-17, 17), p=0.1),
                    a.ElasticTransform(p=0.05),
                    a.OpticalDistortion(p=0.05),
                ],
                p=0.45,
            ),
            a.OneOf(
                [
                    a.ColorJitter(0.5, 0.5, 0.8, 0.25, p=0.5),
                    a.ToGray(p=0.2),
                    a.RandomToneCurve(p=0.2),
                    a.Equalize(p=0.1),
                    a.Posterize(p=0.1),
                    a.InvertImg(p=0.1),
                    a.ToSepia(p=0.1),
                ],
                p=0.6,
            ),
            a.OneOf(
                [
                    a.GaussianBlur((0, 0), (0.5, 4.0), p=0.25),
                    a.MotionBlur((5, 13), p=0.1),
                    a.GaussNoise(p=0.15),
                    a.Downscale((0.15, 0.4), p=0.15),
                    a.ImageCompression(quality_range=(6, 50), p=0.25),
                    a.Sharpen(p=0.1),
                ],
                p=0.45,
            ),
            a.CoarseDropout(p=0.35),
        ],
        seed=0,
    )


def sources(folder: Path | None, count: int) -> list[bytes]:
    if folder is None:
        images = [render_scene(seed, height=375, width=500) for seed in range(count)]
    else:
        catalog = open_catalog(folder)
        rows = np.linspace(0, len(catalog) - 1, min(count, len(catalog))).astype(int)
        images = [cv2.resize(decode_image(catalog.read(int(row))), (500, 375)) for row in rows]
    encoded = [
        cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
        for image in images
    ]
    return [data.tobytes() for data in encoded]


def makers(recipe_name: str, size: int, per_source: int, pool: Pool) -> dict[str, Make]:
    recipe = load_recipe(recipe_name)

    def edited(data: bytes, number: int, seed: int) -> list[View]:
        image = decode_image(data)
        options = {
            "key": str(number),
            "seed": seed,
            "views": per_source,
            "size": size,
            "pool": pool,
        }
        return views.make_views(image, recipe, first="edited", **options)  # type: ignore[arg-type]

    def tracked(data: bytes, number: int, seed: int) -> list[float]:
        return [view.amount for view in edited(data, number, seed)]

    def untracked(data: bytes, number: int, seed: int) -> list[View]:
        identity = Trace.identity
        Trace.identity = lambda size: Untracked(size, size, None)  # type: ignore[assignment,method-assign]
        try:
            return edited(data, number, seed)
        finally:
            Trace.identity = identity  # type: ignore[method-assign]

    return {"tracked": tracked, "map only": edited, "untracked": untracked}


def measure(
    functions: dict[str, Make], data: list[bytes], per_source: int, rounds: int
) -> dict[str, float]:
    """Measure views per CPU second; the columns take turns, so that load slows all alike."""
    spent = dict.fromkeys(functions, 0.0)
    names = list(functions)
    for seed in range(-1, rounds):
        if not seed:  # the round before only fills caches: fonts, stickers, codecs
            spent = dict.fromkeys(functions, 0.0)
        for number, item in enumerate(data):
            turn = (number + seed) % len(names)
            for name in names[turn:] + names[:turn]:
                start = time.process_time()
                functions[name](item, number, seed % (rounds + 1))
                spent[name] += time.process_time() - start
    return {name: rounds * len(data) * per_source / seconds for name, seconds in spent.items()}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--recipes", nargs="+", default=recipe_names())
    parser.add_argument("--sizes", nargs="+", type=int, default=[256])
    parser.add_argument("--views", type=int, default=1, help="views made from each decoded source")
    parser.add_argument("--sources", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    data = sources(options.photos, options.sources)
    pool = Pool([decode_image(item) for item in data[:20]])
    title = (
        f"views per second and core; {len(data)} JPEGs of 500 x 375, "
        f"{options.views} view(s) each, decode included"
    )
    table = Table("recipe", "size", "tracked", "map only", "untracked", "cost", title=title)
    figures = []
    for size in options.sizes:
        for name in options.recipes:
            found = measure(
                makers(name, size, options.views, pool), data, options.views, options.rounds
            )
            cost = found["untracked"] / found["tracked"] - 1
            figures.append({"recipe": name, "size": size, **found, "cost": cost})
            table.add_row(
                name, str(size), *(f"{value:.0f}" for value in found.values()), f"{cost:+.0%}"
            )
        plain = plain_pipeline(size)
        functions: dict[str, Make] = {
            "untracked": lambda item, number, seed, plain=plain: [  # type: ignore[misc]
                plain(image=decode_image(item))["image"] for _ in range(options.views)
            ]
        }
        found = measure(functions, data, options.views, options.rounds)
        figures.append({"recipe": "albumentations", "size": size, **found})
        table.add_row("albumentations", str(size), "", "", f"{found['untracked']:.0f}", "")
    Console(width=110).print(table)
    if options.json:
        options.json.write_text(json.dumps({"command": sys.argv, "figures": figures}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
