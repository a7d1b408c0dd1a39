r"""Measure each part of the verifier: leave out one kind of candidate or one group of features.

  python -m asl.search queries=BENCH/queries references=BENCH/references id_style=stem k=5 \
      output=candidates.csv
  python scripts/train_verifier.py PHOTOS --output verifier.json --evidence evidence.npz
  python scripts/ablate_verifier.py BENCH candidates.csv --evidence evidence.npz

The candidates may come from any descriptor (scripts/score_peers.py writes
PEERS/<name>/predictions.csv); those of local features are retrieved here. All pairs are verified
once. Every row of the table is one decision model, scored on all queries and without hard
negatives.
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
from train_verifier import pair_weights

from asl.console.progress import progress_bar
from asl.data.catalog import CatalogLoader
from asl.data.layouts import Benchmark, open_benchmark
from asl.data.pairs import read_pairs
from asl.index.exact.region_search import best_of
from asl.matching import Verified
from asl.matching.candidates.local_candidates import local_candidates
from asl.matching.decision.fit_trees import fit_trees
from asl.matching.decision.trees import TreeModel, load_model
from asl.matching.run.verify_pairs import combined_scores
from asl.matching.values import EVIDENCE
from asl.metrics.average_precision import label_pairs
from asl.metrics.evaluation import evaluate
from asl.pipeline.verification import top_rows, verify_images
from asl.types import AslError, ScoredPairs, TruthPairs

PARTS = {
    "direction from geometry": (
        "cover_query",
        "cover_reference",
        "seam_query",
        "seam_reference",
        "edge_query",
        "edge_reference",
        "inside_query",
        "inside_reference",
        "outside_flat",
        "join_query",
        "join_reference",
        "break_query",
        "break_reference",
        "echo_query",
        "echo_reference",
    ),
    "edges along the outline": ("edge_query", "edge_reference"),
    "what goes on across the outline": (
        "join_query",
        "join_reference",
        "break_query",
        "break_reference",
        "echo_query",
        "echo_reference",
    ),
    "the middle alone": ("corr_inner", "structure"),
    "local correlation": (
        "corr_low",
        "corr_quarter",
        "corr_median",
        "corr_coarse",
        "corr_kept",
        "corr_tiny",
        "corr_inner",
        "structure",
    ),
    "the finest detail": ("corr_fine",),
    "what agrees compactly": ("core", "core_low", "core_holes"),
    "the bend": ("bent_low", "bent_quarter", "bent_kept", "bend", "rough", "moved"),
    "the alignment's numbers": ("inliers", "support", "parallax", "residual", "distortion"),
    "tone, gradient, detail": ("tone", "gradient", "detail"),
    "what was added": ("added", "added_box", "diffuse"),
}
KEPT = ("copy", "look-alike")  # pairs that no fit can do without; each other kind is left out once


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("benchmark", type=Path)
    parser.add_argument("candidates", type=Path)
    parser.add_argument(
        "--evidence", type=Path, required=True, help="of the fit, from scripts/train_verifier.py"
    )
    parser.add_argument(
        "--top", type=int, default=3, help="candidates of a query by its embedding (%(default)s)"
    )
    parser.add_argument(
        "--local", type=int, default=3, help="candidates of a query by local features (%(default)s)"
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cache", type=Path, help="folder that keeps local features of references")
    options = parser.parse_args()
    try:
        benchmark = open_benchmark(options.benchmark)
        by_model = chosen(read_pairs(options.candidates), benchmark, options.top)
        by_details = propose(benchmark, options)
        both = best_of(
            [by_model, by_details.with_scores(np.full(len(by_details), by_model.scores.min()))],
            k=None,
        )
        looked = verify_images(
            both,
            (benchmark.queries, benchmark.references),
            workers=options.workers,
            cache=options.cache,
        )
        fitting = dict(np.load(options.evidence))
        if fitting["names"].tolist() != list(EVIDENCE):
            raise AslError(
                f"{options.evidence}: was collected by another version; "
                "run scripts/train_verifier.py again"
            )
        rows = [
            ("candidates of the embedding, not looked at", by_model),
            ("everything, as packaged", decided(both, looked, load_model())),
            (
                "each pair on its own, without rivals",
                decided(both, looked, load_model(), rivals=False),
            ),
            (
                "candidates of the embedding only",
                decided(*among(both, looked, by_model), load_model()),
            ),
            (
                "candidates of local features only",
                decided(*among(both, looked, by_details), load_model()),
            ),
            *decisions(both, looked, fitting),
        ]
    except (AslError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    Console().print(table(rows, benchmark.truth))
    return 0


def chosen(pairs: ScoredPairs, benchmark: Benchmark, top: int) -> ScoredPairs:
    """The ``top`` best pairs of every query, with the ids of the benchmark in its order."""
    best = pairs.take(top_rows(pairs, top))
    places = []
    for ids, known in (
        (best.query_ids, benchmark.queries.ids),
        (best.reference_ids, benchmark.references.ids),
    ):
        place = {name: row for row, name in enumerate(known.tolist())}
        places.append(np.array([place[name] for name in ids.tolist()], dtype=np.int64))
    return ScoredPairs(benchmark.queries.ids, benchmark.references.ids, *places, best.scores)


def propose(benchmark: Benchmark, options: argparse.Namespace) -> ScoredPairs:
    """The candidates of local features."""
    with progress_bar("local features", unit="images") as progress:
        return local_candidates(
            benchmark.queries.ids,
            benchmark.references.ids,
            load_query=CatalogLoader.of(benchmark.queries),
            load_reference=CatalogLoader.of(benchmark.references),
            k=options.local,
            workers=options.workers,
            cache=options.cache,
            progress=progress,
        ).pairs


def among(
    pairs: ScoredPairs, verified: Verified, some: ScoredPairs
) -> tuple[ScoredPairs, Verified]:
    """Select the pairs that are also in ``some``, with their verdicts."""
    count = len(pairs.references)
    keys, wanted = (found.query_index * count + found.reference_index for found in (pairs, some))
    rows = np.flatnonzero(np.isin(keys, wanted))
    place = {row: number for number, row in enumerate(rows.tolist())}
    verdicts = {place[row]: verdict for row, verdict in verified.verdicts.items() if row in place}
    kin = {
        (place[a], place[b]): p
        for (a, b), p in verified.near_duplicates.items()
        if a in place and b in place
    }
    kept = pairs.take(rows)
    return kept, replace(
        verified, pairs=verified.pairs.take(rows), verdicts=verdicts, near_duplicates=kin
    )


def decisions(
    pairs: ScoredPairs, verified: Verified, fitting: dict[str, np.ndarray]
) -> Iterator[tuple[str, ScoredPairs]]:
    """A decision without each part, and without each kind of pair in the fit."""
    weights = pair_weights(fitting["kind"])
    for name, columns in PARTS.items():
        names = tuple(column for column in EVIDENCE if column not in columns)
        model = fit_trees(fitting["evidence"], fitting["copy"], weights=weights, names=names)
        yield f"without {name}", decided(pairs, verified, model)
    for kind in sorted(set(fitting["kind"].tolist()) - set(KEPT)):
        kept = fitting["kind"] != kind
        model = fit_trees(fitting["evidence"][kept], fitting["copy"][kept], weights=weights[kept])
        yield f"fitted without {kind} pairs", decided(pairs, verified, model)


def decided(
    pairs: ScoredPairs, verified: Verified, model: TreeModel, *, rivals: bool = True
) -> ScoredPairs:
    """The candidates scored by another decision on the same evidence."""
    rows = list(verified.verdicts)
    found = model.probability(np.stack([verified.verdicts[row].evidence.vector() for row in rows]))
    verdicts = {
        row: replace(verified.verdicts[row], probability=float(p))
        for row, p in zip(rows, found, strict=True)
    }
    return pairs.with_scores(
        combined_scores(
            pairs, verdicts, competition=rivals, near_duplicates=verified.near_duplicates
        )[0]
    )


def table(rows: list[tuple[str, ScoredPairs]], truth: TruthPairs) -> Table:
    """Score every decision: µAP, recall at 90 % precision, share of true pairs among candidates."""
    easy = without_hard_negatives(truth)
    result = Table(
        "decision",
        "candidates",
        "µAP",
        "R@P90",
        "µAP, no hard negatives",
        "R@P90, no hard negatives",
    )
    for name, pairs in rows:
        kept = pairs.take(np.flatnonzero(np.isin(pairs.query_ids, list(easy.kinds))))
        kept = ScoredPairs.from_ids(kept.query_ids, kept.reference_ids, kept.scores)
        both = [evaluate(pairs, truth, bootstrap=0), evaluate(kept, easy, bootstrap=0)]
        values = [label_pairs(pairs, truth).sum() / len(truth)]
        values += [value for run in both for value in (run.uap, run.recall_at_p90)]
        result.add_row(name, *(f"{value:.3f}" for value in values))
    return result


if __name__ == "__main__":
    sys.exit(main())
