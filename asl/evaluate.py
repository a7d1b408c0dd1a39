"""Score predictions against ground truth: µAP, recall at 90 % precision, and more, by the rules of the field.

  python -m asl.evaluate predictions=pairs.csv truth=truth.csv output=scores
  python -m asl.evaluate predictions=pairs.csv truth=truth.csv output=scores bootstrap=1000
  python -m asl.evaluate compare=[a.csv,b.csv] truth=truth.csv output=scores      which one is better, and is it sure?
  python -m asl.evaluate queries=storeQ references=storeR truth=truth.csv score=hinge output=scores
  python -m asl.evaluate benchmark=BENCH model=runs/mine output=scores            from images to the report

predictions: CSV (`query_id,reference_id,score`, higher = surer, header optional) or Parquet. truth: CSV
(`query_id,reference_id`, an empty reference for a query without a match; a column `kind` gives a breakdown).
OUTPUT/metrics.json holds uap, recall_at_p90, threshold_at_p90 (null: never reached), recall_at_1, recall_at_10.
Ties count against the ranking, recall divides by all true pairs, a pair predicted twice is an error.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import MISSING
from rich.console import Console
from rich.table import Table

from asl.data.files import atomic_text
from asl.data.pairs import read_pairs
from asl.data.truth import read_truth
from asl.entry import entry_point
from asl.metrics.evaluate import Evaluation, evaluate, missing_predictions
from asl.metrics.significance import compare
from asl.report.table import kind_table, markdown_table, rich_table
from asl.types import AslError, ScoredPairs, TruthPairs, UsageError


@dataclass
class EvaluateConfig:
    """Keys of ``python -m asl.evaluate``.

    Attributes:
        predictions: CSV or Parquet of scored pairs.
        truth: ground truth CSV.
        compare: two or more files of predictions, side by side; the first is what the others are compared with.
        queries: feature store or ISC HDF5 descriptors of the queries, to search and evaluate.
        references: the same of the references.
        benchmark: folder of a benchmark, to embed, search, evaluate and report.
        layout: of the benchmark; ``auto`` looks.
        model: for ``benchmark``.
        score: for ``queries`` and ``references``.
        lam: weight of the log-norm difference.
        tau: log-norm difference that is free.
        k: references per query, for searches.
        output: folder for metrics.json and more.
        bootstrap: replicates of the intervals; 0 leaves them out.
        seed: of the bootstrap.
        workers: processes that decode, for ``benchmark``.
    """

    predictions: str | None = None
    truth: str | None = None
    compare: list[str] = field(default_factory=list)
    queries: str | None = None
    references: str | None = None
    benchmark: str | None = None
    layout: str = "auto"
    model: str = "asl_lite0"
    score: str = "hinge"
    lam: float = 0.1
    tau: float = 0.0
    k: int = 10
    output: str = MISSING
    bootstrap: int = 0
    seed: int = 0
    workers: int = 1


def run(config: EvaluateConfig) -> int:
    """Evaluate what the keys name."""
    given = [config.predictions, config.compare, config.queries, config.benchmark]
    if sum(bool(value) for value in given) != 1:
        raise UsageError("give one of predictions=, compare=[A,B], queries= with references=, or benchmark=")
    if config.benchmark:
        return _benchmark(config)
    if config.truth is None:
        raise UsageError("truth: needed, e.g. `truth=truth.csv`")
    truth = read_truth(config.truth)
    if config.compare:
        return _compare(config, truth)
    pairs = read_pairs(config.predictions) if config.predictions else _search(config)
    evaluation = evaluate(pairs, truth, bootstrap=config.bootstrap, seed=config.seed)
    write_metrics(evaluation, Path(config.output))
    console = Console()
    console.print(rich_table({Path(config.predictions or config.score).stem: evaluation}))
    _warn(pairs, truth, console)
    return 0


def write_metrics(evaluation: Evaluation, output: Path) -> None:
    """``metrics.json`` (the contract) and ``report.md``."""
    with atomic_text(output / "metrics.json") as file:
        json.dump(evaluation.to_json(), file, indent=1)
    text = markdown_table({"run": evaluation})
    if evaluation.by_kind:
        text += "\n" + kind_table(evaluation)
    with atomic_text(output / "report.md") as file:
        file.write(text)


def _warn(pairs: ScoredPairs, truth: TruthPairs, console: Console) -> None:
    """Ids that do not fit are the commonest reason for a score of 0: say so."""
    missing = missing_predictions(pairs, truth)
    if len(missing):
        console.print(f"{len(missing)} of {len(truth.queries)} queries have no prediction, e.g. {missing[0]}")
    matched = set(truth.reference_ids.tolist())
    if not matched & set(pairs.references.tolist()):
        raise AslError(
            f"truth: none of its {len(matched)} reference ids is among the predictions (truth: {min(matched)!r}, "
            f"predictions: {str(pairs.references[0]) if len(pairs) else 'none'!r}); are the ids written alike?"
        )


def _search(config: EvaluateConfig) -> ScoredPairs:
    from asl.index.search import search
    from asl.scoring.score import Score

    if not config.queries or not config.references:
        raise UsageError("queries and references: both are needed")
    queries, references = _embeddings(config.queries).as_queries(), _embeddings(config.references).as_references()
    score = Score(config.score, config.lam, config.tau)  # type: ignore[arg-type]
    return search(queries, references, score=score, k=config.k)


def _embeddings(path: str) -> Any:
    from asl.data.isc_hdf5 import read_descriptors
    from asl.features.store import FeatureStore

    if Path(path).suffix in (".hdf5", ".h5"):
        return read_descriptors(path)
    return FeatureStore.open(path).embeddings()


def _compare(config: EvaluateConfig, truth: TruthPairs) -> int:
    runs = {str(path): read_pairs(path) for path in config.compare}
    if len(runs) < 2:
        raise UsageError(f"compare: needs two different files, e.g. compare=[a.csv,b.csv]; got {config.compare}")
    console = Console()
    replicates = config.bootstrap or 1000
    evaluations = {
        name: evaluate(pairs, truth, bootstrap=config.bootstrap, seed=config.seed) for name, pairs in runs.items()
    }
    console.print(rich_table(evaluations))
    first, *others = runs
    table = Table("run", "metric", "difference to the first", "95 % interval", "p")
    document: dict[str, Any] = {"scores": {name: e.to_json() for name, e in evaluations.items()}, "differences": {}}
    for other in others:
        differences = compare(runs[other], runs[first], truth, bootstrap=replicates, seed=config.seed)
        document["differences"][other] = {
            name: {"value": d.value, "interval": [d.interval.low, d.interval.high], "p": d.p_value}
            for name, d in differences.items()
        }
        for name, d in differences.items():
            table.add_row(
                other, name, f"{d.value:+.4f}", f"[{d.interval.low:+.4f}, {d.interval.high:+.4f}]", f"{d.p_value:.3f}"
            )
    console.print(table)
    with atomic_text(Path(config.output) / "compare.json") as file:
        json.dump(document, file, indent=1)
    return 0


def _benchmark(config: EvaluateConfig) -> int:
    # Only this way needs a network; the others must not load one.
    from asl.data.layouts import open_benchmark
    from asl.models import load_embedder
    from asl.pipeline import every_mode, score_benchmark
    from asl.report.provenance import provenance
    from asl.scoring.score import Score

    benchmark = open_benchmark(str(config.benchmark), layout=config.layout)
    score = Score("hinge", config.lam, config.tau)
    evaluations = score_benchmark(
        benchmark,
        load_embedder(config.model),
        lambda features: every_mode(features, score),
        output=Path(config.output),
        k=config.k,
        bootstrap=config.bootstrap,
        context={"model": config.model, **provenance(vars(config), command="evaluate", seed=config.seed)},
        workers=config.workers,
    )
    Console().print(rich_table(evaluations))
    return 0


main = entry_point("evaluate", EvaluateConfig, run)

if __name__ == "__main__":
    main()
