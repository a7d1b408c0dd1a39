"""Measure recall, memory and time of approximate indexes on real features, beside exact search.

  python -m asl.extract images=PHOTOS output=STORE regions=fine
  python -m asl.extract images=QUERIES output=ASKED
  python scripts/bench_approximate.py STORE ASKED
  python scripts/bench_approximate.py STORE ASKED --indexes "IVF1024,SQ8 HNSW32" --nprobe 4,16,64

The references are all vectors of STORE, regions included: sixteen real features per photograph. An
index retrieves candidates, which are re-scored with the stored vectors, as `asl.search factory=`
does. The table gives bytes per vector, the share of the exact k best and of the very best that were
retrieved, search time relative to exact search, and build time in seconds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from asl.console.progress import progress_bar
from asl.features import FeatureStore
from asl.index.engines.faiss_factory import FaissFactoryIndex
from asl.index.engines.faiss_flat import FaissFlat
from asl.index.exact.exact_search import search
from asl.scoring.score import Score
from asl.types import QueryEmbeddings, ReferenceEmbeddings, ScoredPairs

INDEXES = "SQ8 PQ64 IVF512,Flat IVF512,SQ8 IVF512,PQ64 OPQ64_256,IVF512,PQ64 HNSW32"
COSINE = Score("cosine")


def pooled(store: Path) -> ReferenceEmbeddings:
    """All vectors of a store and of its regions."""
    paths = [
        store,
        *sorted(path for path in (store / "regions").glob("*") if FeatureStore.is_store(path)),
    ]
    parts = [FeatureStore.open(path).embeddings() for path in paths]
    ids = [f"{number}/{name}" for number, part in enumerate(parts) for name in part.ids.tolist()]
    vectors = np.concatenate([part.vectors for part in parts])
    return ReferenceEmbeddings(
        np.array(ids), vectors, np.concatenate([part.log_norms for part in parts])
    )


def shares(found: ScoredPairs, exact: ScoredPairs) -> tuple[float, float]:
    """Of the exact k best pairs, and of the very best of each query, how many were found."""
    ours = set(zip(found.query_index.tolist(), found.reference_ids.tolist(), strict=True))
    pairs = zip(exact.query_index.tolist(), exact.reference_ids.tolist(), strict=True)
    right = np.array([pair in ours for pair in pairs])
    firsts = np.unique(exact.query_index, return_index=True)[1]
    return float(right.mean()), float(right[firsts].mean())


def measure(
    spec: str,
    nprobes: list[int],
    queries: QueryEmbeddings,
    references: ReferenceEmbeddings,
    k: int,
    exact: ScoredPairs,
) -> list[dict[str, Any]]:
    """One row for each nprobe; an index that has none gives the first only."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "index.faiss"
        for nprobe in nprobes if "IVF" in spec or "HNSW" in spec else nprobes[:1]:
            engine, start = FaissFactoryIndex(spec, nprobe=nprobe, cache=cache), time.perf_counter()
            engine.top(queries.vectors[:1], references.vectors, k)
            build = time.perf_counter() - start
            start = time.perf_counter()
            found = search(queries, references, score=COSINE, k=k, engine=engine)
            seconds = time.perf_counter() - start
            best, first = shares(found, exact)
            size = cache.stat().st_size / len(references)
            row = {
                "index": spec,
                "nprobe": nprobe,
                "bytes": size,
                "recall": best,
                "first": first,
                "seconds": seconds,
            }
            rows.append(row | ({"build": build} if nprobe == nprobes[0] else {}))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", type=Path)
    parser.add_argument("queries", type=Path)
    parser.add_argument("--indexes", default=INDEXES, help="FAISS factory strings")
    parser.add_argument(
        "--nprobe", default="16,64", help="lists looked into, by commas; of graphs a fourth of ef"
    )
    parser.add_argument("-k", type=int, default=10)
    parser.add_argument("--output", type=Path, help="JSON")
    options = parser.parse_args()
    references, queries = (
        pooled(options.store),
        FeatureStore.open(options.queries).embeddings().as_queries(),
    )
    start = time.perf_counter()
    exact = search(queries, references, score=COSINE, k=options.k, engine=FaissFlat())
    flat = {
        "index": "exact",
        "nprobe": 0,
        "bytes": 4 * references.dim,
        "recall": 1.0,
        "first": 1.0,
        "seconds": time.perf_counter() - start,
    }
    rows, specs, nprobes = (
        [flat],
        options.indexes.split(),
        [int(part) for part in options.nprobe.split(",")],
    )
    with progress_bar("building and searching", unit="indexes") as progress:
        for done, spec in enumerate(specs):
            rows += measure(spec, nprobes, queries, references, options.k, exact)
            progress(done + 1, len(specs))
    table = Table(
        title=(
            f"{len(references)} references x {references.dim}, "
            f"{len(queries)} queries, k = {options.k}"
        )
    )
    for column in ("index", "nprobe", "bytes", f"best {options.k}", "first", "time", "built"):
        table.add_column(column, no_wrap=True)
    for row in rows:
        ratio, built = (
            f"{row['seconds'] / flat['seconds']:.2f}",
            f"{row['build']:.0f}" if "build" in row else "",
        )
        shown = f"{row['bytes']:.0f}", f"{row['recall']:.3f}", f"{row['first']:.3f}", ratio, built
        table.add_row(row["index"], str(row["nprobe"] or ""), *shown)
    Console().print(table)
    if options.output:
        options.output.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
