r"""Make an NDEC-shaped benchmark from folders of photographs.

  python scripts/make_benchmark.py PHOTOS OUT --copies 600 --distractors 550 --reverse-crops 150
  python scripts/make_benchmark.py PHOTOS OUT --groups video=VIDEOS \
      --crops CROPS/query CROPS/reference

PHOTOS: unrelated photographs (look-alikes among them make it harder). --level: single edits
(plain), chains of two to five strong ones (hard), or what people do to pages, slides and screens
(drawn, for the pictures of scripts/draw_material.py). --groups KIND=FOLDER: a
folder with one folder per group of look-alikes (frames of a video, shots of a scene). --crops:
crops made by people and their originals, with the same file names. Do not score a model on OUT that
was trained on anything in PHOTOS.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from asl.console.progress import progress_bar
from asl.data.catalog import Catalog, open_catalog
from asl.data.synthetic_benchmark import BenchmarkPlan, BenchmarkSources, build_benchmark
from asl.edits.benchmark_kinds import LEVELS
from asl.types import AslError


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--level", choices=sorted(LEVELS), default="plain")
    parser.add_argument("--copies", type=int, default=600)
    parser.add_argument("--distractors", type=int, default=550)
    parser.add_argument("--reverse-crops", type=int, default=150)
    parser.add_argument("--group-negatives", type=int, default=150)
    parser.add_argument("--groups", action="append", default=[], metavar="KIND=FOLDER")
    parser.add_argument("--crops", nargs=2, type=Path, metavar=("CROPS", "ORIGINALS"))
    parser.add_argument("--licence", action="append", default=[], metavar="SET=LICENCE")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def open_groups(specifications: Sequence[str]) -> dict[str, list[Catalog]]:
    groups: dict[str, list[Catalog]] = {}
    for specification in specifications:
        kind, _, folder = specification.partition("=")
        if not folder or not Path(folder).is_dir():
            raise AslError(
                f"--groups: expected KIND=FOLDER of an existing folder, got {specification!r}"
            )
        members = sorted(path for path in Path(folder).iterdir() if path.is_dir())
        groups.setdefault(kind, []).extend(open_catalog(path) for path in members)
    return groups


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    plan = BenchmarkPlan(
        copies=options.copies,
        distractor_queries=options.distractors,
        reverse_crops=options.reverse_crops,
        group_negatives=options.group_negatives,
        seed=options.seed,
    )
    try:
        crops = (
            tuple(open_catalog(path, id_style="stem") for path in options.crops)
            if options.crops
            else None
        )
        if crops and crops[0].ids.tolist() != crops[1].ids.tolist():
            raise AslError("--crops: both folders must hold the same file names")
        sources = BenchmarkSources(
            open_catalog(options.photos),
            groups=open_groups(options.groups),
            crops=crops,  # type: ignore[arg-type]
            licences=dict(entry.partition("=")[::2] for entry in options.licence),
        )
        with progress_bar("writing", unit="images") as progress:
            path = build_benchmark(
                options.output,
                sources,
                kinds=LEVELS[options.level](),
                plan=plan,
                progress=progress,
            )
    except AslError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
