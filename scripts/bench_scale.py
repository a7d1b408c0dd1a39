"""Measure candidates by local features as a collection grows: disk, memory, time, recall.

  python scripts/make_benchmark.py PHOTOS BENCH --copies 600 --distractors 20 --reverse-crops 0
  python scripts/bench_scale.py BENCH --filler OTHERS --images 2000 10000 100000

Several benchmarks of the same references (--level plain, hard) can be given; no size is below the
number of their references. References are those of BENCH, then the photographs of OTHERS, then
copies of their local features with noise (every component of a descriptor by 20 of 255, angles by
10 degrees, diameters by a fifth of a factor of two). One coded index grows through the sizes; the
exact index is built for sizes up to --exact, in parts of 20,000 images whose lists are merged.
Times are CPU seconds of one process. The coded index is memory-mapped: it takes at most its size in
memory.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from asl.console.progress import progress_bar
from asl.data.catalog import Catalog, open_catalog
from asl.data.images import decode_image
from asl.data.layouts import open_benchmark
from asl.index.engines.faiss_flat import load_faiss
from asl.matching.align.prepare import prepare
from asl.matching.candidates.coded_local_index import coded_local_index, image_key
from asl.matching.candidates.exact_local_index import ExactLocalIndex
from asl.matching.candidates.feature_values import NEIGHBOURS, LocalFeatures, Neighbours
from asl.matching.candidates.local_features import local_features, readings, votes_of
from asl.matching.candidates.votes import rank_by_votes
from asl.matching.values import Settings
from asl.types import U8, AslError

PART = 20_000  # images of one part of the exact index
K = 3


class Query(NamedTuple):
    """A copy: its benchmark, the row of its original, its features."""

    level: str
    original: int
    features: LocalFeatures


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("benchmarks", type=Path, nargs="+", metavar="BENCH")
    parser.add_argument("--filler", type=Path, nargs="*", default=[])
    parser.add_argument("--images", type=int, nargs="+", default=[2000, 10_000, 100_000])
    parser.add_argument("--exact", type=int, default=10_000)
    parser.add_argument("--queries", type=int, default=150, help="of each benchmark")
    parser.add_argument("--folder", type=Path, help="keep the index here")
    options = parser.parse_args()
    load_faiss().omp_set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        references, queries = read_benchmarks(options.benchmarks, options.queries)
        collection = Collection(references, [one for path in options.filler for one in read(path)])
        with tempfile.TemporaryDirectory() as temporary:
            print_table(collection, queries, options, options.folder or Path(temporary))
    except AslError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def read_benchmarks(paths: Sequence[Path], count: int) -> tuple[list[LocalFeatures], list[Query]]:
    """Read the references of the first benchmark and some copies of each."""
    first = open_benchmark(paths[0]).references
    place = {name: row for row, name in enumerate(first.ids.tolist())}
    queries = []
    for path in paths:
        benchmark = open_benchmark(path)
        if benchmark.references.ids.tolist() != first.ids.tolist():
            raise AslError(f"{path}: its references are not those of {paths[0]}")
        truth = benchmark.truth
        order = np.random.default_rng(0).permutation(len(truth.query_ids))  # kinds take turns
        chosen = np.sort(order[:count])
        row = {name: number for number, name in enumerate(benchmark.queries.ids.tolist())}
        names = truth.query_ids[chosen].tolist()
        features = extract(benchmark.queries, [row[name] for name in names], path.name)
        originals = [place[name] for name in truth.reference_ids[chosen].tolist()]
        queries += [Query(path.name, *pair) for pair in zip(originals, features, strict=True)]
    return extract(first, range(len(first)), "references"), queries


def read(folder: Path) -> list[LocalFeatures]:
    catalog = open_catalog(folder)
    return extract(catalog, range(len(catalog)), folder.name)


def extract(catalog: Catalog, rows: Sequence[int], name: str) -> list[LocalFeatures]:
    found = []
    with progress_bar(name, unit="images") as progress:
        for done, row in enumerate(rows, start=1):
            found.append(local_features(prepare(decode_image(catalog.read(row)), Settings())))
            progress(done, len(rows))
    return found


@dataclass(frozen=True)
class Collection:
    """Images in order: real ones first, then noisy copies of the filler's, as many as are asked."""

    references: Sequence[LocalFeatures]
    filler: Sequence[LocalFeatures]

    def __getitem__(self, number: int) -> LocalFeatures:
        real = [self.references, self.filler]
        for images in real:
            if number < len(images):
                return images[number]
            number -= len(images)
        if not self.filler:
            raise AslError(f"--images: the benchmark has {len(self.references)}; give --filler")
        return noisy(self.filler[number % len(self.filler)], np.random.default_rng(number))


def noisy(image: LocalFeatures, rng: np.random.Generator) -> LocalFeatures:
    shape = image.descriptors.shape
    descriptors = image.descriptors + 20 * rng.standard_normal(shape, dtype=np.float32)
    return LocalFeatures(
        image.scales * np.exp2(rng.normal(0, 0.2, len(image))).astype(np.float32),
        ((image.angles + rng.normal(0, 10, len(image))) % 360).astype(np.float32),
        np.clip(np.rint(descriptors), 0, 255).astype(np.uint8),
    )


def print_table(
    collection: Collection, queries: list[Query], options: argparse.Namespace, folder: Path
) -> None:
    levels = list(dict.fromkeys(query.level for query in queries))
    heads = [f"{level}: first / among {K}" for level in levels]
    print(" | ".join(["images", "index", "built, s", "KB an image", "s a query", *heads]))
    least = len(collection.references)
    for count in sorted({max(count, least) for count in options.images}):
        for name, measure in (("coded", measure_coded), ("exact", measure_exact)):
            if name == "coded" or count <= options.exact:
                result = measure(collection, count, queries, folder)
                cells = [f"{count:,}", name, f"{result.built:.0f}"]
                cells += [f"{result.size / count / 1024:.1f}", f"{result.seconds:.3f}"]
                cells += [shares(result.ranked, queries, level) for level in levels]
                print(" | ".join(cells), flush=True)


class Result(NamedTuple):
    """Seconds to build, bytes of the index, seconds a query, the rows ranked for each query."""

    built: float
    size: int
    seconds: float
    ranked: list[list[int]]


def measure_coded(collection: Collection, count: int, queries: list[Query], folder: Path) -> Result:
    start = time.process_time()
    index = coded_local_index(
        [image_key(str(number)) for number in range(count)],
        lambda positions: (collection[number] for number in positions),
        folder=folder,
    )
    built = time.process_time()
    ranked = [votes_of(index, query.features, K)[0].tolist() for query in queries]
    seconds = (time.process_time() - built) / len(queries)
    size = sum(path.stat().st_size for path in folder.iterdir())
    return Result(built - start, size, seconds, ranked)


def measure_exact(collection: Collection, count: int, queries: list[Query], _: Path) -> Result:
    asked = [readings(query.features) for query in queries]
    found = [[Found.nothing(sum(map(len, reading)))] for reading in asked]
    built = seconds = size = 0.0
    for first in range(0, count, PART):
        start = time.process_time()
        part = [collection[number] for number in range(first, min(first + PART, count))]
        index = ExactLocalIndex.build(part)
        size += 136 * len(index)
        built += time.process_time() - start
        start = time.process_time()
        for reading, lists in zip(asked, found, strict=True):
            near = index.neighbours(np.concatenate([one.descriptors for one in reading]))
            lists[0] = lists[0].merged(near._replace(images=near.images + first))
        seconds += time.process_time() - start
        del index, part
    start = time.process_time()
    ranked = [
        rank_by_votes(lists[0], reading, K)[0].tolist()
        for reading, lists in zip(asked, found, strict=True)
    ]
    seconds += time.process_time() - start
    return Result(built, int(size), seconds / len(queries), ranked)


@dataclass(frozen=True)
class Found:
    """Neighbours of one query's features that were searched before: an index of one query."""

    near: Neighbours
    references: int = 0

    @classmethod
    def nothing(cls, count: int) -> Found:
        shape = (count, 0)
        floats = np.empty(shape, np.float32)
        return cls(Neighbours(floats, np.empty(shape, np.int64), floats, floats))

    def __len__(self) -> int:
        return self.near.distances.size

    def neighbours(self, descriptors: U8) -> Neighbours:
        return self.near

    def merged(self, other: Neighbours) -> Found:
        both = [np.concatenate(pair, axis=1) for pair in zip(self.near, other, strict=True)]
        order = np.argsort(both[0], axis=1, kind="stable")[:, :NEIGHBOURS]
        return Found(Neighbours(*(np.take_along_axis(one, order, axis=1) for one in both)))


def shares(ranked: list[list[int]], queries: list[Query], level: str) -> str:
    """Share of copies whose original ranks first, and is among the first ones."""
    pairs = [
        (rows, query.original)
        for rows, query in zip(ranked, queries, strict=True)
        if query.level == level
    ]
    first = np.mean([original in rows[:1] for rows, original in pairs])
    return f"{first:.3f} / {np.mean([original in rows for rows, original in pairs]):.3f}"


if __name__ == "__main__":
    sys.exit(main())
