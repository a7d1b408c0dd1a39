"""Measure the evaluator at the size of the DISC21 challenge: 500,000 predictions, 50,000 queries.

  python scripts/bench_evaluate.py
  python scripts/bench_evaluate.py --predictions 10000000 --queries 1000000

Every stage runs in its own process, so that its peak memory is its own: reading the files, the
metrics without and with bootstrap intervals, and the whole command `python -m asl.evaluate`.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from asl.data.pairs import read_pairs, write_pairs
from asl.data.truth import read_truth, write_truth
from asl.metrics.evaluation import evaluate
from asl.types import ScoredPairs, TruthPairs

KINDS = ("crop", "overlay", "blur", "hard:reverse_crop", "hard:video", "distractor")


def make(folder: Path, *, predictions: int, queries: int) -> None:
    rng = np.random.default_rng(0)
    per_query = predictions // queries
    query_index = np.repeat(np.arange(queries), per_query)
    reference_index = (
        query_index * 7919 + np.tile(np.arange(per_query), queries) * 104729
    ) % 1_000_000
    matched = np.arange(0, queries, 5)
    true = np.zeros(len(query_index), dtype=bool)
    true[matched * per_query] = True
    scores = rng.normal(size=len(query_index)) + 3 * true
    ids = np.array([f"Q{n:07d}" for n in range(queries)])
    references, place = np.unique(reference_index, return_inverse=True)
    names = np.array([f"R{n:06d}" for n in references])
    pairs = ScoredPairs(ids, names, query_index, place.astype(np.int64), scores)
    kinds = {name: KINDS[n % 3 if n % 5 == 0 else 3 + n % 3] for n, name in enumerate(ids.tolist())}
    listed = zip(ids[matched].tolist(), names[place[matched * per_query]].tolist(), strict=True)
    write_pairs(pairs, folder / "pairs.csv")
    write_pairs(pairs, folder / "pairs.parquet")
    write_truth(
        TruthPairs.from_pairs(listed, other_queries=ids.tolist(), kinds=kinds), folder / "truth.csv"
    )


def stage(name: str, folder: Path) -> float:
    if name == "command":
        command = [sys.executable, "-m", "asl.evaluate", f"predictions={folder}/pairs.csv"]
        start = time.perf_counter()
        subprocess.run(
            [*command, f"truth={folder}/truth.csv", f"output={folder}/out"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return time.perf_counter() - start
    if name.startswith("read"):
        start = time.perf_counter()
        read_pairs(folder / ("pairs.parquet" if "Parquet" in name else "pairs.csv"))
        read_truth(folder / "truth.csv")
        return time.perf_counter() - start
    pairs, truth = read_pairs(folder / "pairs.parquet"), read_truth(folder / "truth.csv")
    start = time.perf_counter()
    evaluate(pairs, truth, bootstrap=200 if "200" in name else 0)
    return time.perf_counter() - start


STAGES = ("read CSV", "read Parquet", "evaluate", "evaluate, 200 replicates", "command")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--predictions", type=int, default=500_000)
    parser.add_argument("--queries", type=int, default=50_000)
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stage:
        seconds = stage(arguments.stage, arguments.folder)
        who = resource.RUSAGE_CHILDREN if arguments.stage == "command" else resource.RUSAGE_SELF
        print(f"{seconds:.3f} {resource.getrusage(who).ru_maxrss / 2**20:.3f}")
        return
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), predictions=arguments.predictions, queries=arguments.queries)
        print(
            f"{arguments.predictions} predictions x {arguments.queries} queries, "
            f"{os.cpu_count()} CPU cores"
        )
        for name in STAGES:
            command = [sys.executable, __file__, "--stage", name, "--folder", folder]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            seconds, peak = done.stdout.split()
            print(f"{name:26s} {float(seconds):7.2f} s   peak {float(peak):5.2f} GB")


if __name__ == "__main__":
    main()
