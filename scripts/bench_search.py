r"""Compare exact directional search with plain nearest neighbours, in one run.

  python scripts/bench_search.py
  python scripts/bench_search.py --cases 1000000x256x4096 --threads 2 --repeats 5 \
      --output bench_search.json
  python scripts/bench_search.py --cases 100000x256x1000 --milvus
  python scripts/bench_search.py --cases 200000x512x2048 --store STORE --only bfloat16

Contestants take turns; every ratio is to FAISS flat in the same round, and the table gives medians.
CPU time is reliable on a busy machine where wall time is not.

Half of the queries are noisy copies of references, half are strangers; log-norms of both follow one
distribution. References are sorted by falling log-norm, as an asl index stores them. With --store,
both sides are embeddings of real images: some are kept apart as strangers, and jittered copies of
the others fill the references up. Besides our
scores: FAISS flat with its defaults (the baseline), a numpy matrix product with and without a
partial sort (the limit of the machine), the strict rule applied to a FAISS list ten times too long
(with the share of the true lists that it finds), and milvus-lite. Where the CPU multiplies in
bfloat16, our scores by those products as well. With a GPU: the tensor-core
engine alone and under our scores, and FAISS on every GPU: with the references sent at every call,
and holding them under our scores.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

CASES = "1000000x256x2048,100000x512x4096"
BASELINE = "faiss flat"
ONCE = "numpy product + partial sort"  # several times slower than all others: one round
QUERY_NOISE, FILLER_NOISE = 0.3, 0.5  # norms: cosines of .96 and .89 with the image's own embedding
Contestants = dict[str, Callable[[], Any]]


def make(references: int, dim: int, queries: int) -> tuple[Any, Any]:
    from asl.types import QueryEmbeddings, ReferenceEmbeddings

    rng = np.random.default_rng(0)
    right = _unit(rng.standard_normal((references, dim), dtype=np.float32))
    left = rng.standard_normal((queries, dim), dtype=np.float32)
    left[::2] = right[rng.integers(references, size=len(left[::2]))] + left[::2] * np.float32(
        0.7 / np.sqrt(dim)
    )
    norms = [rng.normal(0.0, 0.3, size=n).astype(np.float32) for n in (queries, references)]
    order = np.argsort(-norms[1], kind="stable")
    return (
        QueryEmbeddings(_names("q", queries), _unit(left), norms[0]),
        ReferenceEmbeddings(_names("r", references), right[order], norms[1][order]),
    )


def from_store(folder: Path, references: int, queries: int) -> tuple[Any, Any]:
    """Draw both sides from a store's embeddings: half of the queries are of images kept apart."""
    from asl.features.feature_store import FeatureStore
    from asl.types import QueryEmbeddings, ReferenceEmbeddings

    rng = np.random.default_rng(0)
    real = FeatureStore.open(folder).embeddings()
    rows = rng.permutation(len(real))
    strangers, known = np.split(rows, [min(queries // 2, len(rows) // 4)])
    asked = np.concatenate([strangers, rng.choice(known, queries - len(strangers))])
    left, left_norms = _jittered(real, asked, QUERY_NOISE, rng)
    right, right_norms = _jittered(real, np.resize(known, references), FILLER_NOISE, rng)
    order = np.argsort(-right_norms, kind="stable")
    return (
        QueryEmbeddings(_names("q", queries), left, left_norms),
        ReferenceEmbeddings(_names("r", references), right[order], right_norms[order]),
    )


def _jittered(
    real: Any, rows: np.ndarray, noise: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return unit vectors with noise of this norm, and log-norms that differ by some 5 %."""
    vectors = real.vectors[rows]
    scale = np.float32(noise / np.sqrt(vectors.shape[1]))
    for low in range(0, len(vectors), 65536):  # in pieces: no second copy of all
        piece = vectors[low : low + 65536]
        piece += rng.standard_normal(piece.shape, dtype=np.float32) * scale
        _unit(piece)
    norms = real.log_norms[rows] + rng.normal(0.0, 0.05, size=len(rows))
    return vectors, norms.astype(np.float32)


def _names(prefix: str, count: int) -> Any:
    return np.char.add(prefix, np.arange(count).astype(str))


def _unit(vectors: np.ndarray) -> np.ndarray:
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def product(queries: np.ndarray, references: np.ndarray, k: int | None) -> None:
    for start in range(0, len(queries), 1024):
        for low in range(0, len(references), 8192):
            scores = queries[start : start + 1024] @ references[low : low + 8192].T
            if k is not None:
                np.argpartition(scores, -k, axis=1)


def post_filter(index: Any, queries: Any, references: Any, k: int, fetch: int) -> list[list[int]]:
    _, rows = index.search(queries.vectors, fetch)
    allowed = queries.log_norms[:, None] <= references.log_norms[rows]
    return [row[keep][:k].tolist() for row, keep in zip(rows, allowed, strict=True)]


def contestants(queries: Any, references: Any, k: int) -> Contestants:
    from asl.index.engines.cpu_bfloat16 import CpuBfloat16, multiplies_bfloat16
    from asl.index.engines.faiss_flat import FaissFlat, load_faiss
    from asl.index.engines.tensorcore import TensorCore, cuda_devices
    from asl.index.exact.exact_search import search
    from asl.scoring.score import Score

    index = load_faiss().IndexFlatIP(queries.dim)
    index.add(references.vectors)
    engine = FaissFlat(gpus=0)
    low, high = np.quantile(references.log_norms, [0.01, 0.99]).tolist()
    scores = {
        mode: Score(mode, lam=0.1, clip=(low, high) if mode == "soft" else None)
        for mode in ("cosine", "strict", "hinge", "soft")
    }
    found: Contestants = {
        BASELINE: lambda: index.search(queries.vectors, k),
        "numpy product": lambda: product(queries.vectors, references.vectors, None),
        ONCE: lambda: product(queries.vectors, references.vectors, k),
        "post-filter, 10 k fetched": lambda: post_filter(index, queries, references, k, 10 * k),
    }
    for mode, score in scores.items():
        found[f"asl {mode}"] = lambda score=score: search(
            queries, references, score=score, k=k, engine=engine
        )
    if multiplies_bfloat16():
        half = CpuBfloat16()
        for mode, score in scores.items():
            found[f"asl {mode}, bfloat16"] = lambda score=score: search(
                queries, references, score=score, k=k, engine=half
            )
    if cuda_devices():
        cores = TensorCore()
        found["tensor cores, exact"] = lambda: cores.top(queries.vectors, references.vectors, k)
        for mode, score in scores.items():
            found[f"asl {mode}, GPU"] = lambda score=score: search(
                queries, references, score=score, k=k, engine=cores
            )
    if (gpus := FaissFlat()).gpus:
        # An engine that holds nothing: every call sends the references again.
        found["faiss on every GPU"] = lambda: gpus.top(queries.vectors, references.vectors, k)
        holder = FaissFlat()
        for mode, score in scores.items():
            found[f"asl {mode}, FAISS on every GPU"] = lambda score=score: search(
                queries, references, score=score, k=k, engine=holder
            )
    return found


def recall(found: list[list[int]], truth: Any, k: int) -> float:
    lists: list[set[int]] = [set() for _ in found]
    for query, row in zip(truth.query_index.tolist(), truth.reference_index.tolist(), strict=True):
        lists[query].add(row)
    shares = [
        len(set(mine) & true) / len(true) for mine, true in zip(found, lists, strict=True) if true
    ]
    return float(np.mean(shares))


def same(some: Any, others: Any) -> bool:
    return all(
        np.array_equal(getattr(some, name), getattr(others, name))
        for name in ("query_index", "reference_index", "scores")
    )


def measure(case: str, k: int, repeats: int, options: argparse.Namespace) -> dict[str, Any]:
    references, dim, count = (int(part) for part in case.split("x"))
    if options.store:
        queries, library = from_store(options.store, references, count)
        dim = queries.dim
    else:
        queries, library = make(references, dim, count)
    runs = contestants(queries, library, k)
    if options.milvus:
        runs["milvus-lite flat"] = _milvus(queries, library, k)
    runs = {name: run for name, run in runs.items() if options.only in name or name == BASELINE}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    cpu: dict[str, list[float]] = {name: [] for name in runs}
    results: dict[str, Any] = {}
    for turn in range(repeats):
        for name, run in runs.items():
            if turn and name == ONCE:
                continue
            start, used = time.perf_counter(), time.process_time()
            results[name] = run()
            seconds[name].append(time.perf_counter() - start)
            cpu[name].append(time.process_time() - used)
    rows = [
        {
            "name": name,
            "seconds": float(np.median(times)),
            "time_ratio": float(np.median(np.array(times) / seconds[BASELINE][: len(times)])),
            "cpu_ratio": float(np.median(np.array(cpu[name]) / cpu[BASELINE][: len(times)])),
            "queries_per_second": count / float(np.median(times)),
        }
        for name, times in seconds.items()
    ]
    share = None
    if {"asl strict", "post-filter, 10 k fetched"} <= results.keys():
        share = recall(results["post-filter, 10 k fetched"], results["asl strict"], k)
    halves = [name for name in results if f"{name}, bfloat16" in results]
    return {
        "references": references,
        "dim": dim,
        "queries": count,
        "k": k,
        "rows": rows,
        "post_filter_recall": share,
        "same_lists": {name: same(results[name], results[f"{name}, bfloat16"]) for name in halves},
    }


def _milvus(queries: Any, references: Any, k: int) -> Callable[[], Any]:
    from pymilvus import DataType, MilvusClient

    folder = tempfile.mkdtemp()
    client = MilvusClient(f"{folder}/bench.db")
    schema = client.create_schema(auto_id=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=queries.dim)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="IP")
    client.create_collection("bench", schema=schema, index_params=index)
    for start in range(0, len(references), 10_000):
        rows = [
            {"id": start + n, "vector": v}
            for n, v in enumerate(references.vectors[start : start + 10_000])
        ]
        client.insert("bench", rows)
    client.flush("bench")
    client.load_collection("bench")

    def run() -> None:
        for start in range(0, len(queries), 1000):
            client.search("bench", list(queries.vectors[start : start + 1000]), limit=k)

    return run


def table(result: dict[str, Any]) -> str:
    size = f"{result['references']:,} x {result['dim']}"
    head = f"{size}, {result['queries']:,} queries, k = {result['k']}"
    lines = [
        head,
        "",
        "| | seconds | time / FAISS | CPU time / FAISS | queries/s |",
        "|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        lines.append(
            f"| {row['name']} | {row['seconds']:.2f} | {row['time_ratio']:.2f} "
            f"| {row['cpu_ratio']:.2f} "
            f"| {row['queries_per_second']:.0f} |"
        )
    if result["post_filter_recall"] is not None:
        share = f"{100 * result['post_filter_recall']:.1f} %"
        lines += ["", f"post-filtering finds {share} of the true strict lists; asl strict all"]
    if result["same_lists"]:
        equal = ", ".join(f"{name}: {value}" for name, value in result["same_lists"].items())
        lines += ["", f"the same lists by bfloat16: {equal}"]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--cases", default=CASES, help="REFERENCESxDIMxQUERIES, with commas between"
    )
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument(
        "--milvus", action="store_true", help="milvus-lite, too (loading a million takes minutes)"
    )
    parser.add_argument("--store", type=Path, help="draw embeddings from this store; it sets DIM")
    parser.add_argument("--only", default="", help="contestants whose names contain this")
    parser.add_argument("--output", type=Path, help="a JSON file")
    arguments = parser.parse_args()
    os.environ.update(OMP_WAIT_POLICY="PASSIVE", OMP_NUM_THREADS=str(arguments.threads))
    if os.environ.get("OPENBLAS_NUM_THREADS") != str(
        arguments.threads
    ):  # read when numpy starts: start again
        os.environ["OPENBLAS_NUM_THREADS"] = str(arguments.threads)
        sys.exit(subprocess.run([sys.executable, *sys.argv], check=False).returncode)
    results = []
    for case in arguments.cases.split(","):
        results.append(measure(case, arguments.k, arguments.repeats, arguments))
        print(table(results[-1]), flush=True)
    if arguments.output:
        facts = {
            "command": " ".join(sys.argv),
            "machine": platform.processor() or platform.machine(),
        }
        facts |= {
            "threads": arguments.threads,
            "python": platform.python_version(),
            "numpy": np.__version__,
        }
        arguments.output.write_text(json.dumps({**facts, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
