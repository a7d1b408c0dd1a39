"""Count how often pairs are taken for two shots of one moment, and how often for copies.

  python scripts/measure_same_moment.py VIDEOS BENCH [BENCH ...]

VIDEOS holds a folder of frames for each video: pairs one, two and four frames apart. Of every
benchmark folder, --pairs true pairs, drawn at random, and as many pairs of references that look
most alike to the packaged model.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from cachetools import LRUCache

from asl.app.pairs.pair_verifier import verify_prepared
from asl.app.pairs.same_moment import may_be_same_moment
from asl.console.progress import progress_bar
from asl.data.catalog import Catalog, CatalogLoader, open_catalog
from asl.data.layouts import open_benchmark
from asl.features.cropping import network_input
from asl.features.runner import open_runner
from asl.matching import Verifier
from asl.matching.align.prepare import Prepared
from asl.models.opening import open_model
from asl.shared_defaults import MODEL
from asl.types import AslError

APART = (1, 2, 4)  # frames
PREPARED = 200  # pictures kept, about 1 MB each
Place = tuple[CatalogLoader, str]
Pairs = list[tuple[Place, Place]]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", type=Path)
    parser.add_argument("benchmarks", nargs="*", type=Path)
    parser.add_argument("--pairs", type=int, default=120, help="of each sort (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    try:
        counter = Counter()
        for name, pairs in sorts(options):
            counter.count(name, pairs)
    except (AslError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def sorts(options: argparse.Namespace) -> Iterator[tuple[str, Pairs]]:
    """List the sorts of pairs."""
    videos = [open_catalog(folder) for folder in sorted(options.videos.iterdir())]
    for apart in APART:
        pairs = [pair for video in videos for pair in frame_pairs(video, apart)]
        yield f"frames, {apart} apart", pairs[: options.pairs]
    for folder in options.benchmarks:
        benchmark = open_benchmark(folder)
        queries, references = (
            CatalogLoader.of(catalog) for catalog in (benchmark.queries, benchmark.references)
        )
        truth = benchmark.truth
        rows = np.random.default_rng(options.seed).permutation(len(truth))[: options.pairs]
        yield (
            f"{folder.name}, true pairs",
            [
                ((queries, str(truth.query_ids[row])), (references, str(truth.reference_ids[row])))
                for row in rows
            ],
        )
        yield (
            f"{folder.name}, references that look alike",
            [
                ((references, first), (references, second))
                for first, second in most_alike(benchmark.references, options.pairs)
            ],
        )


def frame_pairs(video: Catalog, apart: int) -> Pairs:
    """Every second pair of frames so far apart."""
    load, names = CatalogLoader.of(video), video.ids.tolist()
    starts = range(0, len(names) - apart, 2)
    return [((load, names[row]), (load, names[row + apart])) for row in starts]


def most_alike(references: Catalog, count: int) -> list[tuple[str, str]]:
    """The pairs of the highest cosines."""
    runner, load = open_runner(open_model(MODEL), "cpu"), CatalogLoader.of(references)
    plan, names = runner.preprocessing, references.ids.tolist()
    unit = []
    with progress_bar("embedding", unit="images") as progress:
        for start in range(0, len(names), 32):
            pixels = [load(name) for name in names[start : start + 32]]
            features = runner.embed([network_input(image, plan) for image in pixels])
            unit.append(features / np.linalg.norm(features, axis=1, keepdims=True))
            progress(min(start + 32, len(names)), len(names))
    vectors = np.concatenate(unit)
    cosines = np.triu(vectors @ vectors.T, 1)
    best = np.argsort(-cosines, axis=None)[:count]
    return [(names[row // len(names)], names[row % len(names)]) for row in best.tolist()]


class Counter:
    """Verify pairs and print what they are taken for."""

    def __init__(self) -> None:
        self._verifier = Verifier()
        self._ready: LRUCache[tuple[int, str], Prepared] = LRUCache(PREPARED)

    def count(self, name: str, pairs: Pairs) -> None:
        """Print how many of the pairs are copies, and shots of one moment."""
        verdicts = []
        with progress_bar(name, unit="pairs") as progress:
            for first, second in pairs:
                verdicts.append(
                    verify_prepared(self._prepared(first), self._prepared(second), self._verifier)
                )
                progress(len(verdicts), len(pairs))
        copies = sum(verdict.probability >= 0.5 for verdict in verdicts)
        moments = sum(may_be_same_moment(verdict) for verdict in verdicts)
        print(f"{name}: {len(pairs)} pairs, {copies} copies, {moments} of one moment", flush=True)

    def _prepared(self, place: Place) -> Prepared:
        load, name = place
        key = id(load), name
        if key not in self._ready:
            self._ready[key] = self._verifier.prepare(load(name))
        return self._ready[key]


if __name__ == "__main__":
    sys.exit(main())
