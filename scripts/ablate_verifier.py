r"""Measure each part of the verifier: leave out one kind of candidates, alignment or evidence.

  python -m asl.search queries=BENCH/queries references=BENCH/references id_style=stem k=5 \
      output=candidates.csv
  python scripts/train_verifier.py PHOTOS --limit 300 --output small.json --evidence evidence.npz
  python scripts/ablate_verifier.py BENCH candidates.csv --evidence evidence.npz

The candidates may come from any descriptor (scripts/score_peers.py writes
PEERS/<name>/predictions.csv); those of local features are retrieved here. Every row of the table is
scored on all queries and without hard negatives:

- candidates of some kinds, decided as packaged;
- the same candidates, aligned without one means (--alignments), decided as packaged;
- the decision fitted anew on EVIDENCE, with everything, then without one group of measurements or
  one kind of pairs: compare these rows with each other.
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
from asl.features.fingerprints import fingerprint
from asl.index.exact.region_search import best_of
from asl.matching import Verified, Verifier, verify_pairs
from asl.matching.candidates.learned_candidates import LEARNED
from asl.matching.candidates.local_candidates import FeatureKind, local_candidates
from asl.matching.candidates.local_features import SIFT
from asl.matching.decision.fit_trees import fit_trees
from asl.matching.decision.trees import TreeModel, load_model
from asl.matching.run.verify_pairs import combined_scores
from asl.matching.values import EVIDENCE, Settings
from asl.metrics.average_precision import label_pairs
from asl.metrics.evaluation import evaluate
from asl.pipeline.verification import top_rows
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
    "continuation across the outline": (
        "join_query",
        "join_reference",
        "break_query",
        "break_reference",
        "echo_query",
        "echo_reference",
    ),
    "the centre alone": ("corr_inner", "structure"),
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
    "compact agreement": ("core", "core_low", "core_holes"),
    "the bend": ("bent_low", "bent_quarter", "bent_kept", "bend", "rough", "moved"),
    "the alignment's numbers": ("inliers", "support", "parallax", "residual", "distortion"),
    "learned features": ("learned", "learned_inliers", "learned_support"),
    "tone, gradient, detail": ("tone", "gradient", "detail"),
    "added regions": ("added", "added_box", "diffuse"),
}
ALIGNMENTS = {
    "learned features": {"learned": False},
    "dense search": {"dense": False},
    "the mirrored reading": {"mirrored": False},
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
        "--each", type=int, default=3, help="candidates of a query by each means (%(default)s)"
    )
    parser.add_argument(
        "--alignments",
        action="store_true",
        help="align without one means in turn, which verifies all pairs again for each",
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cache", type=Path, help="folder that keeps local features of references")
    options = parser.parse_args()
    try:
        benchmark = open_benchmark(options.benchmark)
        fitting = dict(np.load(options.evidence))
        if fitting["names"].tolist() != list(EVIDENCE):
            raise AslError(
                f"{options.evidence}: was collected by another version; "
                "run scripts/train_verifier.py again"
            )
        by_model = chosen(read_pairs(options.candidates), benchmark, options.each)
        kinds = {
            "the embedding": by_model,
            "SIFT": propose(benchmark, SIFT, options),
            "learned features": propose(benchmark, LEARNED, options),
        }
        pairs = joined(list(kinds.values()))
        verified = verify(pairs, benchmark, Settings(), options)
        rows = [
            ("candidates of the embedding, not verified", by_model),
            ("everything", decided(pairs, verified, load_model())),
            (
                "without comparing competing candidates",
                decided(pairs, verified, load_model(), competition=False),
            ),
            *by_kinds(pairs, verified, kinds),
        ]
        for name, changed in ALIGNMENTS.items() if options.alignments else ():
            again = verify(pairs, benchmark, replace(Settings(), **changed), options)
            rows.append((f"aligned without {name}", decided(pairs, again, load_model())))
        rows += decisions(pairs, verified, fitting)
    except (AslError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    Console(width=140).print(table(rows, benchmark.truth))
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


def propose(benchmark: Benchmark, kind: FeatureKind, options: argparse.Namespace) -> ScoredPairs:
    """The candidates of one kind of local features."""
    with progress_bar("local features", unit="images") as progress:
        return local_candidates(
            benchmark.queries.ids,
            benchmark.references.ids,
            load_query=CatalogLoader.of(benchmark.queries),
            load_reference=CatalogLoader.of(benchmark.references),
            kind=kind,
            k=options.each,
            workers=options.workers,
            cache=options.cache,
            collection=fingerprint(benchmark.references, benchmark.references.ids.tolist()),
            progress=progress,
        ).pairs


def joined(lists: list[ScoredPairs]) -> ScoredPairs:
    """All pairs of some lists once, those of the first list with its scores."""
    least = float(lists[0].scores.min())
    rest = [pairs.with_scores(np.full(len(pairs), least)) for pairs in lists[1:]]
    return best_of([lists[0], *rest], k=None)


def verify(
    pairs: ScoredPairs, benchmark: Benchmark, settings: Settings, options: argparse.Namespace
) -> Verified:
    """Verify all pairs with some settings of the alignment."""
    with progress_bar("verifying", unit="pairs") as progress:
        return verify_pairs(
            pairs,
            load_query=CatalogLoader.of(benchmark.queries),
            load_reference=CatalogLoader.of(benchmark.references),
            verifier=Verifier(settings=settings),
            workers=options.workers,
            cache=options.cache,
            collection=fingerprint(benchmark.references, pairs.references.tolist()),
            progress=progress,
        )


def by_kinds(
    pairs: ScoredPairs, verified: Verified, kinds: dict[str, ScoredPairs]
) -> Iterator[tuple[str, ScoredPairs]]:
    """Candidates of one kind alone, then of all but one."""
    for name, own in kinds.items():
        yield f"candidates by {name} alone", decided(*among(pairs, verified, own), load_model())
    for name in kinds:
        others = joined([own for other, own in kinds.items() if other != name])
        yield f"candidates without {name}", decided(*among(pairs, verified, others), load_model())


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
    everything = fit_trees(fitting["evidence"], fitting["copy"], weights=weights)
    yield "fitted on EVIDENCE", decided(pairs, verified, everything)
    for name, columns in PARTS.items():
        names = tuple(column for column in EVIDENCE if column not in columns)
        model = fit_trees(fitting["evidence"], fitting["copy"], weights=weights, names=names)
        yield f"fitted without {name}", decided(pairs, verified, model)
    for kind in sorted(set(fitting["kind"].tolist()) - set(KEPT)):
        kept = fitting["kind"] != kind
        model = fit_trees(fitting["evidence"][kept], fitting["copy"][kept], weights=weights[kept])
        yield f"fitted without {kind} pairs", decided(pairs, verified, model)


def decided(
    pairs: ScoredPairs, verified: Verified, model: TreeModel, *, competition: bool = True
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
            pairs, verdicts, competition=competition, near_duplicates=verified.near_duplicates
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
