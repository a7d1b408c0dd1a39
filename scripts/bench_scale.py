"""Measure candidates by local features as a collection grows: disk, memory, time, recall.

  python scripts/make_benchmark.py PHOTOS BENCH --copies 600 --distractors 20 --reverse-crops 0
  python scripts/bench_scale.py BENCH --filler OTHERS --images 10000 100000 1000000

Several benchmarks of the same references (--level plain, hard) can be given; no size is below the
number of their references. References are those of BENCH, then the photographs of OTHERS, then
copies of their local features with noise (every component of a descriptor by 20 of 255, angles by
10 degrees, diameters by a fifth of a factor of two; coded_copies.py codes them). One coded index
grows through the sizes; it is searched with its own number of lists, and with those of --probes.
The exact index is built for sizes up to --exact, in parts of 20,000 images whose lists are merged.
Times are CPU seconds, of the coded index for the images that are new since the last size. Memory is
that of this process beside the features of the photographs: its own, and that maps files, after the
queries. --features keeps the features of the photographs for the next run.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from coded_copies import CodedCopies

from asl.console.progress import progress_bar
from asl.data.catalog import Catalog, open_catalog
from asl.data.images import decode_image
from asl.data.layouts import open_benchmark
from asl.index.engines.faiss_flat import load_faiss
from asl.matching.align.prepare import prepare
from asl.matching.candidates.coded_local_index import (
    CodedLocalIndex,
    coded_local_index,
    image_key,
)
from asl.matching.candidates.exact_local_index import ExactLocalIndex
from asl.matching.candidates.feature_values import NEIGHBOURS, LocalFeatures, Neighbours
from asl.matching.candidates.local_features import local_features, readings, votes_of
from asl.matching.candidates.piece_writer import PieceWriter
from asl.matching.candidates.quantiser import load_quantiser
from asl.matching.candidates.votes import rank_by_votes
from asl.matching.values import Settings
from asl.parallel import spawned_map, usable_cores
from asl.types import U8, AslError

PART = 20_000  # images of one part of the exact index
K = 3
FEATURE_PARTS = ("scales", "angles", "descriptors")
NOISE_ROWS = 2**16  # descriptors of noise, which images share from different rows on


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
    parser.add_argument("--probes", type=int, nargs="*", default=[], help="lists of more rows")
    parser.add_argument("--folder", type=Path, help="keep the index here")
    parser.add_argument("--features", type=Path, help="keep the features of photographs here")
    options = parser.parse_args()
    load_faiss().omp_set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        extract = Extraction(options.features)
        references, queries = read_benchmarks(options.benchmarks, options.queries, extract)
        filler = [one for path in options.filler for one in extract.all_of(open_catalog(path))]
        collection = Collection(references, filler)
        with tempfile.TemporaryDirectory() as temporary:
            print_table(collection, queries, options, options.folder or Path(temporary))
    except AslError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def read_benchmarks(
    paths: Sequence[Path], count: int, extract: Extraction
) -> tuple[list[LocalFeatures], list[Query]]:
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
        features = extract(benchmark.queries, [row[name] for name in names])
        originals = [place[name] for name in truth.reference_ids[chosen].tolist()]
        queries += [Query(path.name, *pair) for pair in zip(originals, features, strict=True)]
    return extract.all_of(first), queries


@dataclass(frozen=True)
class Extraction:
    """Features of images, from a folder where they are kept, or in processes of their own."""

    folder: Path | None

    def all_of(self, catalog: Catalog) -> list[LocalFeatures]:
        return self(catalog, range(len(catalog)))

    def __call__(self, catalog: Catalog, rows: Sequence[int]) -> list[LocalFeatures]:
        names = "\n".join(f"{catalog.locate(row)} {catalog.stamp(row)}" for row in rows)
        name = f"{hashlib.sha256(names.encode()).hexdigest()[:16]}.npz"
        if self.folder and (self.folder / name).exists():
            with np.load(self.folder / name) as kept:
                parts = [np.split(kept[part], kept["ends"][:-1]) for part in FEATURE_PARTS]
            return [LocalFeatures(*image) for image in zip(*parts, strict=True)]
        processes = min(usable_cores(), 1 + len(rows) // 200)
        found = []
        with progress_bar("local features", unit="images") as progress:
            extracted = spawned_map(Extractor(catalog), rows, processes=processes, chunk=16)
            for done, image in enumerate(extracted, start=1):
                found.append(image)
                progress(done, len(rows))
        if self.folder:
            self.folder.mkdir(parents=True, exist_ok=True)
            arrays = {
                part: np.concatenate([getattr(image, part) for image in found])
                for part in FEATURE_PARTS
            }
            np.savez(self.folder / name, ends=np.cumsum([len(image) for image in found]), **arrays)
        return found


@dataclass(frozen=True)
class Extractor:
    catalog: Catalog

    def __call__(self, row: int) -> LocalFeatures:
        return local_features(prepare(decode_image(self.catalog.read(row)), Settings()))


@dataclass(frozen=True)
class Collection:
    """Images in order: real ones first, then noisy copies of the filler's, as many as are asked."""

    references: Sequence[LocalFeatures]
    filler: Sequence[LocalFeatures]

    def __getitem__(self, number: int) -> LocalFeatures:
        for images in (self.references, self.filler):
            if number < len(images):
                return images[number]
            number -= len(images)
        return noisy(self.filler[number % len(self.filler)], np.random.default_rng(number))

    @property
    def photographs(self) -> int:
        return len(self.references) + len(self.filler)

    @cached_property
    def copies(self) -> CodedCopies:
        if not self.filler:
            raise AslError(f"--images: there are {len(self.references)}; give --filler")
        return CodedCopies(self.filler, noise(), load_quantiser())


@cache
def noise() -> np.ndarray:
    """Noise of a descriptor, int16 ``[NOISE_ROWS, 128]``: a standard deviation of 20 of 255."""
    rng = np.random.default_rng(0)
    return np.rint(20 * rng.standard_normal((NOISE_ROWS, 128), dtype=np.float32)).astype(np.int16)


def noisy(image: LocalFeatures, rng: np.random.Generator) -> LocalFeatures:
    count = len(image)
    rows = (int(rng.integers(NOISE_ROWS)) + np.arange(count)) % NOISE_ROWS
    draws = rng.standard_normal((2, count), np.float32)
    return LocalFeatures(
        image.scales * np.exp2(np.float32(0.2) * draws[0]),
        (image.angles + np.float32(10) * draws[1]) % np.float32(360),
        np.clip(image.descriptors + noise()[rows], 0, 255).astype(np.uint8),
    )


def print_table(
    collection: Collection, queries: list[Query], options: argparse.Namespace, folder: Path
) -> None:
    levels = list(dict.fromkeys(query.level for query in queries))
    heads = [f"{level}: first / among {K}" for level in levels]
    columns = ("images", "index", "built, s", "KB an image", "s a query", "own, MB", "mapped, MB")
    print(" | ".join([*columns, *heads]), flush=True)
    before = memory_of_this_process()
    least = len(collection.references)
    for count in sorted({max(count, least) for count in options.images}):
        results = measure_coded(collection, count, queries, folder, options.probes)
        if count <= options.exact:
            results.append(measure_exact(collection, count, queries))
        for result in results:
            cells = [f"{count:,}", result.name, f"{result.built:.0f}"]
            cells += [f"{result.size / count / 1024:.1f}", f"{result.seconds:.3f}"]
            more = zip(result.memory, before, strict=True)
            cells += [f"{max(now - then, 0):.0f}" for now, then in more]
            cells += [shares(result.ranked, queries, level) for level in levels]
            print(" | ".join(cells), flush=True)


class Memory(NamedTuple):
    """Megabytes of a process: its own, and that maps files."""

    own: float
    mapped: float


def memory_of_this_process() -> Memory:
    lines = Path("/proc/self/status").read_text().splitlines()
    sizes = {line.split(":")[0]: float(line.split()[1]) for line in lines if line.startswith("Rss")}
    return Memory(sizes["RssAnon"] / 1024, sizes["RssFile"] / 1024)


class Result(NamedTuple):
    """Seconds to build, bytes of the index, seconds a query, memory, rows ranked for each query."""

    name: str
    built: float
    size: int
    seconds: float
    memory: Memory
    ranked: list[list[int]]


def measure_coded(
    collection: Collection, count: int, queries: list[Query], folder: Path, probes: Sequence[int]
) -> list[Result]:
    start = time.process_time()
    photographs = min(count, collection.photographs)
    known = sum(keyed.piece.images for keyed in PieceWriter.open(folder, load_quantiser()).pieces)
    keys = [image_key(str(number)) for number in range(count)]
    coded_local_index(
        keys[: max(known, photographs)],
        lambda positions: (collection[number] for number in positions),
        folder=folder,
    )
    if count > photographs:
        writer = PieceWriter.open(folder, load_quantiser())
        first = max(known - photographs, 0)
        with progress_bar("copies", unit="images") as progress:
            done = 0
            for piece in collection.copies.pieces(first, count - photographs, photographs):
                writer.add([piece])
                done += piece.piece.images
                progress(done, count - photographs - first)
    index = coded_local_index(keys, lambda _: [], folder=folder)
    built = time.process_time() - start
    size = sum(path.stat().st_size for path in folder.iterdir())
    return [
        searched(
            index if number is None else replace(index, probes=number),
            queries,
            f"codes, {number or index.probes} lists",
            built if number is None else 0.0,
            size,
        )
        for number in (None, *probes)
    ]


def searched(
    index: CodedLocalIndex, queries: list[Query], name: str, built: float, size: int
) -> Result:
    with ThreadPoolExecutor(usable_cores()) as threads:
        index = replace(index, threads=threads)
        start = time.process_time()
        ranked = [votes_of(index, query.features, K)[0].tolist() for query in queries]
        seconds = (time.process_time() - start) / len(queries)
    return Result(name, built, size, seconds, memory_of_this_process(), ranked)


def measure_exact(collection: Collection, count: int, queries: list[Query]) -> Result:
    asked = [readings(query.features) for query in queries]
    found = [[Found.nothing(sum(map(len, reading)))] for reading in asked]
    built = seconds = size = 0.0
    memory = Memory(0.0, 0.0)
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
        memory = max(memory, memory_of_this_process())
        del index, part
    start = time.process_time()
    ranked = [
        rank_by_votes(lists[0], reading, K)[0].tolist()
        for reading, lists in zip(asked, found, strict=True)
    ]
    seconds += time.process_time() - start
    return Result("one byte a component", built, int(size), seconds / len(queries), memory, ranked)


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
