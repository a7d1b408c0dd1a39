"""What each part of the verifier's decision is worth: it is fitted anew without the part, on the same evidence.

  python -m asl.search queries=BENCH/queries references=BENCH/references id_style=stem k=5 regions=fine
      query_regions=fine output=candidates.csv                                                    (one line)
  python scripts/train_verifier.py PHOTOS --output verifier.json --evidence evidence.npz
  python scripts/ablate_verifier.py BENCH candidates.csv --evidence evidence.npz

The candidates may come from any descriptor (scripts/score_peers.py writes PEERS/<name>/predictions.csv). Their pixels
are looked at once; every row of the table is one decision, scored on all queries and without hard negatives.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from score_peers import without_hard_negatives

from asl.data.catalog import CatalogLoader
from asl.data.layouts import Benchmark, open_benchmark
from asl.data.pairs import read_pairs
from asl.matching import Verified, verify_pairs
from asl.matching.decide import TreeModel, load_model
from asl.matching.fit import fit_trees
from asl.matching.values import EVIDENCE
from asl.matching.verify import combined_scores
from asl.metrics.evaluate import evaluate
from asl.report.progress import progress_bar
from asl.types import AslError, ScoredPairs, TruthPairs

PARTS = {
    "direction from geometry": (
        "cover_query", "cover_reference", "seam_query", "seam_reference", "inside_query", "inside_reference",
        "outside_flat",
    ),
    "local correlation": ("corr_low", "corr_quarter", "corr_median", "corr_coarse", "corr_kept"),
    "the bend": ("bent_low", "bent_quarter", "bent_kept", "bend", "rough", "moved"),
    "the alignment's numbers": ("inliers", "support", "parallax", "residual", "distortion"),
    "tone, gradient, detail": ("tone", "gradient", "detail"),
    "added and diffuse": ("added", "diffuse"),
}  # fmt: skip
KINDS = ("frame", "reverse", "reverse copy")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmark", type=Path)
    parser.add_argument("candidates", type=Path)
    parser.add_argument("--evidence", type=Path, required=True, help="of the fit, from scripts/train_verifier.py")
    parser.add_argument("--top", type=int, default=5, help="candidates of a query that are looked at")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    try:
        benchmark = open_benchmark(options.benchmark)
        pairs = best_candidates(read_pairs(options.candidates), options.top)
        verified = look(benchmark, pairs, workers=options.workers)
        fitting = dict(np.load(options.evidence))
        if fitting["names"].tolist() != list(EVIDENCE):
            raise AslError(f"{options.evidence}: was collected by another version; run scripts/train_verifier.py again")
        rows = [("candidates, not looked at", pairs), *decisions(pairs, verified, fitting)]
    except (AslError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    Console().print(table(rows, benchmark.truth))
    return 0


def best_candidates(pairs: ScoredPairs, top: int) -> ScoredPairs:
    """The ``top`` best pairs of every query."""
    order = np.lexsort((-pairs.scores, pairs.query_index))
    query = pairs.query_index[order]
    return pairs.take(order[np.arange(len(order)) - np.searchsorted(query, query, side="left") < top])


def look(benchmark: Benchmark, pairs: ScoredPairs, *, workers: int) -> Verified:
    """The evidence of all candidates."""
    with progress_bar("looking", unit="pairs") as progress:
        return verify_pairs(
            pairs,
            load_query=CatalogLoader.of(benchmark.queries),
            load_reference=CatalogLoader.of(benchmark.references),
            workers=workers,
            progress=progress,
        )


def decisions(
    pairs: ScoredPairs, verified: Verified, fitting: dict[str, np.ndarray]
) -> Iterator[tuple[str, ScoredPairs]]:
    """The packaged decision, and one without each part and each kind of pair in the fit."""
    yield "as packaged", decided(pairs, verified, load_model())
    for name, columns in PARTS.items():
        names = tuple(column for column in EVIDENCE if column not in columns)
        model = fit_trees(fitting["evidence"], fitting["copy"], names=names)
        yield f"without {name}", decided(pairs, verified, model)
    for kind in KINDS:
        kept = fitting["kind"] != kind
        model = fit_trees(fitting["evidence"][kept], fitting["copy"][kept])
        yield f"fitted without {kind} pairs", decided(pairs, verified, model)


def decided(pairs: ScoredPairs, verified: Verified, model: TreeModel) -> ScoredPairs:
    """The candidates scored by another decision on the same evidence."""
    rows = list(verified.verdicts)
    found = model.probability(np.stack([verified.verdicts[row].evidence.vector() for row in rows]))
    verdicts = {row: replace(verified.verdicts[row], probability=float(p)) for row, p in zip(rows, found, strict=True)}
    return pairs.with_scores(combined_scores(pairs, verdicts, np.zeros(len(pairs))))


def table(rows: list[tuple[str, ScoredPairs]], truth: TruthPairs) -> Table:
    """µAP and recall at 90 % precision of every decision."""
    easy = without_hard_negatives(truth)
    result = Table("decision", "µAP", "R@P90", "µAP, no hard negatives", "R@P90, no hard negatives")
    for name, pairs in rows:
        kept = pairs.take(np.flatnonzero(np.isin(pairs.query_ids, list(easy.kinds))))
        kept = ScoredPairs.from_ids(kept.query_ids, kept.reference_ids, kept.scores)
        both = [evaluate(pairs, truth, bootstrap=0), evaluate(kept, easy, bootstrap=0)]
        result.add_row(name, *(f"{value:.3f}" for run in both for value in (run.uap, run.recall_at_p90)))
    return result


if __name__ == "__main__":
    sys.exit(main())
