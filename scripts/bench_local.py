"""Measure retrieval by local features: speed, index size, and how often the original ranks first.

  python scripts/bench_local.py PHOTOS --images 1000 --queries 200

Queries are photographs of the folder, edited by a training recipe. Half of the references are
measured first, to show how cost depends on their number. Times are CPU seconds of one process.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from asl.data.catalog import Catalog, open_catalog
from asl.data.images import decode_image
from asl.edits import View
from asl.edits.engine.foreign_images import Pool
from asl.edits.engine.make_views import view_rng
from asl.edits.recipes import load_recipe
from asl.index.engines.faiss_flat import load_faiss
from asl.matching.align.prepare import prepare
from asl.matching.candidates.exact_local_index import ExactLocalIndex
from asl.matching.candidates.feature_values import LocalFeatures
from asl.matching.candidates.local_features import local_features, votes_of
from asl.matching.values import Settings
from asl.types import AslError


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--recipe", default="disc_like")
    options = parser.parse_args()
    load_faiss().omp_set_num_threads(1)
    try:
        catalog = open_catalog(options.photos)
        rows = (
            np.linspace(0, len(catalog) - 1, min(options.images, len(catalog))).astype(int).tolist()
        )
        features, seconds = find(catalog, rows)
        print(
            f"local features: {len(rows) / seconds:.0f} images/s, "
            f"{np.mean([len(f) for f in features]):.0f} per image"
        )
        queries = make_queries(catalog, rows, options.queries, options.recipe)
        for share in (0.5, 1.0):
            measure(features[: int(share * len(features))], queries)
    except AslError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def find(catalog: Catalog, rows: list[int]) -> tuple[list[LocalFeatures], float]:
    images = [decode_image(catalog.read(row)) for row in rows]
    start = time.process_time()
    found = [local_features(prepare(image, Settings())) for image in images]
    return found, time.process_time() - start


def make_queries(
    catalog: Catalog, rows: list[int], count: int, recipe: str
) -> list[tuple[int, LocalFeatures]]:
    """(place of the original, local features of a copy), evenly chosen."""
    edit, pool = load_recipe(recipe), Pool(catalog, decode=decode_image)
    made = []
    for place in np.unique(
        np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)
    ).tolist():
        view = View.original(decode_image(catalog.read(rows[place])), foreign=pool)
        edited = edit(view, view_rng(key=f"bench/{place}", seed=0, number=0)).image
        made.append((place, local_features(prepare(edited, Settings()))))
    return made


def measure(features: list[LocalFeatures], queries: list[tuple[int, LocalFeatures]]) -> None:
    start = time.process_time()
    index = ExactLocalIndex.build(features)
    built = time.process_time() - start
    with tempfile.TemporaryDirectory() as folder:
        index.save(Path(folder) / "local.npz", key="bench")
        size = (Path(folder) / "local.npz").stat().st_size / len(features)
    asked = [(place, query) for place, query in queries if place < len(features)]
    start = time.process_time()
    first = [votes_of(index, query, 3)[0] for _, query in asked]
    seconds = time.process_time() - start
    found = [place in rows[:1].tolist() for (place, _), rows in zip(asked, first, strict=True)]
    among = [place in rows.tolist() for (place, _), rows in zip(asked, first, strict=True)]
    print(
        f"{len(features)} references, {len(index)} features: built in {built:.1f} s, "
        f"{size / 1024:.0f} KB per reference, "
        f"{1000 * seconds / len(asked):.0f} ms per query; "
        f"the original ranks first for {np.mean(found):.3f}, "
        f"among three for {np.mean(among):.3f}"
    )


if __name__ == "__main__":
    sys.exit(main())
