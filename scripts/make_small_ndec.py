"""Write a small set of generated scenes in NDEC's exact layout, to rehearse every step.

  python scripts/make_small_ndec.py SMALL
  python scripts/make_small_ndec.py SMALL --train 20 --references 16 --queries 12 --pairs 4

By default 80 training images, 60 references, 40 queries and 12 pairs. Half of the queries are
edited copies, a quarter have no match, a quarter are hard negatives: another shot of a reference.
Scores on it show that the steps work, not how good a detector is.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2

from asl.data.images import Pixels
from asl.data.scenes import render_scene
from asl.edits import View
from asl.edits.benchmark_kinds import benchmark_kinds
from asl.edits.engine.foreign_images import Pool
from asl.edits.engine.make_views import view_rng
from asl.storage import atomic_text
from asl.types import AslError

TRAIN, REFERENCES, ELSEWHERE = 0, 100_000, 200_000  # the first scene of each; none is in two places


def write(path: Path, image: Pixels) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])


def write_training(folder: Path, images: int, pairs: int) -> None:
    """DISC21's training images, and folders of two: one of them, and a look-alike."""
    for number in range(images):
        write(folder / "train" / f"T{number:06}.jpg", render_scene(TRAIN + number))
    for number in range(pairs):
        pair = folder / "negative_pair" / f"{number:05}"
        write(pair / f"T{number:06}.jpg", render_scene(TRAIN + number))
        write(pair / f"look-{number}.jpg", render_scene(TRAIN + number, look=1))


def write_benchmark(folder: Path, references: int, queries: int) -> None:
    """References, queries and the ground truth; queries from Q50000 on are hard negatives."""
    pool = Pool([render_scene(ELSEWHERE + number) for number in range(4)])
    kinds, rows = list(benchmark_kinds().items()), ["query_id,reference_id"]
    copies, others, hard = queries - 2 * (queries // 4), queries // 4, queries // 4
    for number in range(references):
        write(folder / "references" / f"R{number:06}.jpg", render_scene(REFERENCES + number))
    for number in range(copies + others):
        seed = REFERENCES + number if number < copies else ELSEWHERE + number
        name, (kind, edit) = f"Q{25_000 + number:05}", kinds[number % len(kinds)]
        view = edit(
            View.original(render_scene(seed), foreign=pool), view_rng(key=kind, seed=seed, number=0)
        )
        write(folder / "query_images_h5" / f"{name}.jpg", view.image)
        rows.append(f"{name},{f'R{number:06}' if number < copies else ''}")
    for number in range(hard):
        look_alike = render_scene(REFERENCES + number, look=1)
        write(folder / "query_images_h5" / f"Q{50_000 + number:05}.jpg", look_alike)
    with atomic_text(folder / "public_ground_truth_h5.csv") as file:
        file.write("\n".join(rows) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", type=Path)
    for name, count in (("train", 80), ("references", 60), ("queries", 40), ("pairs", 12)):
        parser.add_argument(f"--{name}", type=int, default=count)
    options = parser.parse_args(arguments)
    try:
        if options.output.exists():
            raise AslError(f"{options.output}: exists already; delete it or choose another output")
        if (
            options.queries < 4
            or options.references < options.queries
            or options.train < max(4, options.pairs)
        ):
            raise AslError(
                "expected 4 or more queries, as many references, "
                "and as many training images as pairs"
            )
        write_training(options.output, options.train, options.pairs)
        write_benchmark(options.output, options.references, options.queries)
    except AslError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
