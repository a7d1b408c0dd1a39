"""Measure a detector's library as it grows: adding, disk, memory, restart, query.

  python scripts/bench_library.py PHOTOS --references 2000 10000 100000 --regions none

The photographs are added by a detector; then follow copies of their records with noise (vectors by
a tenth of their norm, local features as in bench_scale.py), written into the library as a detector
writes them, but not embedded. Every size is opened in a process of its own: seconds until it has
answered, memory then that is its own (anonymous) and that maps files, seconds a query, and the
share of queries whose photograph is found. Queries are the middle ninth of a photograph, and a
collage of parts of two. Seconds are of the processors; beside those of a query stand those of the
clock, since a query is compared on all cores. Copies have the thumbnail of their photograph: with
the photographs alone (--references 0) most candidates are strangers, as in a library of people.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np
from bench_scale import noisy

from asl import CopyDetector
from asl.app.detector import FILE, Compare
from asl.app.library.image_store import ImageStore
from asl.app.library.ingest import Ingestor
from asl.app.library.records import Name, Record
from asl.app.library.reference_votes import ReferenceVotes
from asl.data.catalog import open_catalog
from asl.data.images import Pixels, decode_image
from asl.matching.align.prepare import prepare
from asl.matching.candidates.feature_values import LocalFeatures
from asl.matching.candidates.local_features import local_features
from asl.matching.candidates.piece_writer import FEATURES_PER_IMAGE
from asl.matching.values import Settings
from asl.shared_defaults import LOCAL_CANDIDATES, MODEL
from asl.types import AslError

BATCH = 256
MOST_FILLER = 2000  # photographs whose records are in memory


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path)
    parser.add_argument("--references", type=int, nargs="+", default=[2000, 10_000, 100_000])
    parser.add_argument("--regions", default="none", choices=("none", "coarse", "fine"))
    parser.add_argument("--local-candidates", type=int, default=LOCAL_CANDIDATES)
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--compare", default="all", choices=get_args(Compare))
    parser.add_argument("--queries", type=int, default=40)
    parser.add_argument("--folder", type=Path, help="keep the library here")
    parser.add_argument("--open", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    try:
        if options.open:
            print(json.dumps(measure(options, options.folder)))
            return 0
        with tempfile.TemporaryDirectory() as temporary:
            print_table(options, options.folder or Path(temporary))
    except AslError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def print_table(options: argparse.Namespace, folder: Path) -> None:
    photos = open_catalog(options.photos)
    begun, spent = time.monotonic(), time.process_time()
    with open_library(options, folder) as detector:
        added = len(detector.add(options.photos).added)
    clock, work = time.monotonic() - begun, time.process_time() - spent
    print(f"{added} added, {added / clock:.0f} a second, {added / work:.0f} a second of one core")
    columns = ("references", "disk, KB", "own, KB", "mapped, KB", "start, s", "query, s", "slowest")
    print(" | ".join([*columns, "clock", "compared", "crops found", "collages found"]))
    for count in sorted({max(count, len(photos)) for count in options.references}):
        Filler.read(options, folder).fill(count)
        command = [sys.executable, __file__, str(options.photos), "--open", "--folder", str(folder)]
        command += ["--regions", options.regions, "--queries", str(options.queries)]
        command += ["--local-candidates", str(options.local_candidates)]
        command += ["--model", options.model, "--compare", options.compare]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise AslError(done.stderr.strip() or f"exit code {done.returncode}")
        disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        result = json.loads(done.stdout)
        cells = [f"{count:,}", f"{disk / count / 1024:.1f}"]
        cells += [f"{result[name] / count:.2f}" for name in ("own", "mapped")]
        cells += [f"{result['start']:.1f}", f"{result['query']:.2f}", f"{result['slowest']:.2f}"]
        cells += [f"{result['clock']:.2f}", f"{result['compared']:.1f}"]
        cells += [f"{result['crops']:.3f}", f"{result['collages']:.3f}"]
        print(" | ".join(cells), flush=True)


def open_library(options: argparse.Namespace, folder: Path) -> CopyDetector:
    return CopyDetector(
        options.model,
        folder=folder,
        regions=options.regions,
        local_candidates=options.local_candidates,
        compare=options.compare,
    )


@dataclass(frozen=True)
class Filler:
    """Records and local features of photographs, and the files that get copies of them."""

    store: ImageStore
    records: Sequence[Record]
    features: Sequence[LocalFeatures]
    regions: str
    votes: bool

    @classmethod
    def read(cls, options: argparse.Namespace, folder: Path) -> Filler:
        ingestor = Ingestor(options.model, regions=options.regions)
        store = ingestor.open_store(folder / FILE)
        digests = sorted({name.digest for name in store.names() if not is_filler(name)})
        digests = digests[:MOST_FILLER]
        facts, thumbnails = store.facts(digests), [store.thumbnail(one) for one in digests]
        vectors = store.features(digests)
        regions = None
        if ingestor.regions:
            regions = np.swapaxes(store.region_features(ingestor.regions, digests), 0, 1)
        records = [
            Record(
                digest,
                facts[digest],
                vectors[row],
                thumbnails[row],
                regions=None if regions is None else regions[row],
            )
            for row, digest in enumerate(digests)
        ]
        features = [
            local_features(prepare(decode_image(one), Settings())).largest(FEATURES_PER_IMAGE)
            for one in (thumbnails if options.local_candidates else [])
        ]
        return cls(store, records, features, ingestor.regions, options.local_candidates > 0)

    def fill(self, count: int) -> None:
        """Bring the library to a number of references."""
        with closing(self.store):
            names = self.store.names()
            votes = ReferenceVotes(self.store) if self.votes else None
            if votes:
                votes.open(names)
            for start in range(len(names), count, BATCH):
                numbers = range(start, min(start + BATCH, count))
                rngs = [np.random.default_rng(number) for number in numbers]
                originals = [number % len(self.records) for number in numbers]
                records = [
                    jittered(self.records[row], number, rng)
                    for row, number, rng in zip(originals, numbers, rngs, strict=True)
                ]
                new = [
                    Name(f"filler-{number}.jpg", record.digest, path=f"/photos/{number}.jpg")
                    for number, record in zip(numbers, records, strict=True)
                ]
                self.store.put(records, new, regions=self.regions)
                if votes:
                    features = [
                        noisy(self.features[row], rng)
                        for row, rng in zip(originals, rngs, strict=True)
                    ]
                    votes.add_features(new, features)
            if votes:
                votes.close()


def is_filler(name: Name) -> bool:
    return name.name.startswith("filler-")


def jittered(record: Record, number: int, rng: np.random.Generator) -> Record:
    def moved(vectors: np.ndarray) -> np.ndarray:
        norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
        noise = rng.standard_normal(vectors.shape, dtype=np.float32)
        return vectors + 0.1 * norms / np.sqrt(vectors.shape[-1]) * noise

    assert record.feature is not None
    return replace(
        record,
        digest=hashlib.sha256(f"filler {number}".encode()).hexdigest(),
        feature=moved(record.feature).astype(np.float32),
        regions=None if record.regions is None else moved(record.regions).astype(np.float32),
    )


def measure(options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Open a library and ask; memory in KB."""
    photos = open_catalog(options.photos)
    step = max(1, len(photos) // options.queries)
    rows = list(range(0, len(photos), step))[: options.queries]
    pictures = [decode_image(photos.read(row)) for row in rows]
    names = [Path(str(photos.ids[row])).name for row in rows]
    begun = time.process_time()
    with open_library(options, folder) as detector:
        detector.query(pictures[0])
        start = time.process_time() - begun
        memory = memory_of_this_process()  # what is cached later has its own bounds
        answers: dict[str, list[Answered]] = {"crops": [], "collages": []}
        for number, picture in enumerate(pictures):
            other = (number + 7) % len(pictures)
            answers["crops"].append(answered(detector, middle(picture, 3), names[number]))
            board = collage(picture, pictures[other])
            answers["collages"].append(answered(detector, board, names[number], names[other]))
    every = [one for many in answers.values() for one in many]
    return {
        "start": start,
        "query": float(np.mean([one.seconds for one in every])),
        "slowest": max(one.seconds for one in every),
        "clock": float(np.mean([one.clock for one in every])),
        "compared": float(np.mean([one.compared for one in every])),
        **{kind: float(np.mean([one.found for one in many])) for kind, many in answers.items()},
        **memory,
    }


class Answered(NamedTuple):
    """Seconds of processors and clock, candidates compared, share of the originals found."""

    seconds: float
    clock: float
    compared: int
    found: float


def answered(detector: CopyDetector, picture: Pixels, *originals: str) -> Answered:
    begun, clock = time.process_time(), time.monotonic()
    matches = detector.query(picture)
    seconds, clock = time.process_time() - begun, time.monotonic() - clock
    found = {Path(match.reference).name for match in matches}
    share = float(np.mean([original in found for original in originals]))
    return Answered(seconds, clock, matches.compared, share)


def memory_of_this_process() -> dict[str, float]:
    lines = Path("/proc/self/status").read_text().splitlines()
    sizes = {line.split(":")[0]: float(line.split()[1]) for line in lines if line.startswith("Rss")}
    return {"own": sizes["RssAnon"], "mapped": sizes["RssFile"]}


def middle(image: Pixels, share: int) -> Pixels:
    """One ``share`` x ``share``-th of an image."""
    height, width = image.shape[:2]
    top, left = height * (share - 1) // (2 * share), width * (share - 1) // (2 * share)
    return np.ascontiguousarray(image[top : top + height // share, left : left + width // share])


def collage(*images: Pixels) -> Pixels:
    """Middles of images side by side on a board."""
    board = np.full((300, 40 + 260 * len(images), 3), 235, np.uint8)
    for number, image in enumerate(images):
        part = image[image.shape[0] // 6 :, image.shape[1] // 8 :][:220, :230]
        left = 20 + 260 * number
        board[40 : 40 + part.shape[0], left : left + part.shape[1]] = part
    return board


if __name__ == "__main__":
    sys.exit(main())
