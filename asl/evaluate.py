"""Score predictions against ground truth: µAP, recall at 90 % precision, and more, by the rules of the field.

  python -m asl.evaluate predictions=pairs.csv truth=truth.csv output=scores
  python -m asl.evaluate compare=[a.csv,b.csv] truth=truth.csv output=scores      which one is
  better, and is it sure? python -m asl.evaluate queries=storeQ references=storeR truth=truth.csv
  score=all output=scores python -m asl.evaluate queries=dev.h5 truth=truth.csv score=cosine
  background=train.h5 output=scores python -m asl.evaluate benchmark=BENCH model=runs/mine
  output=scores            from images to the report

predictions: CSV (`query_id,reference_id,score`, higher = surer, header optional) or Parquet. truth:
CSV (`query_id,reference_id`, an empty reference for a query without a match; a column `kind` gives
a breakdown).
queries, references, background: feature stores of asl.extract or HDF5 descriptors of ISC 2021,
which are searched. OUTPUT gets metrics.json (uap, recall_at_p90, threshold_at_p90 (null: never
reached), recall_at_1, recall_at_10 ...), report.md and report.html. Ties count against the ranking,
recall divides by all true pairs, a pair predicted twice is an error. docs/evaluation.md has every
definition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import MISSING
from rich.console import Console

from asl.console.entry import entry_point
from asl.console.progress import progress_bar
from asl.data.catalog import Catalog, open_catalog
from asl.data.pairs import read_pairs, write_pairs
from asl.data.truth import read_groups, read_truth
from asl.metrics.evaluation import Evaluation, check_ids, evaluate, missing_predictions
from asl.metrics.significance import Difference, compare
from asl.report.headline_table import difference_rows, kind_rows, rich_rows, rich_table
from asl.report.html import write_report
from asl.report.provenance import provenance
from asl.types import Embeddings, ScoredPairs, TruthPairs, UsageError

if TYPE_CHECKING:
    from asl.pipeline.benchmark_run import Features
    from asl.scoring.score import Score


@dataclass
class EvaluateConfig:
    """Keys of ``python -m asl.evaluate``.

    Attributes:
        predictions: CSV or Parquet of scored pairs.
        compare: two or more files of predictions, side by side; the others are compared with the
            first.
        queries: feature store or ISC HDF5 descriptors of the queries, to search and evaluate; an
            ISC submission (queries and references in one file) needs no ``references``.
        references: the same of the references.
        background: the same of training images, for score normalisation and whitening.
        benchmark: folder of a benchmark, to embed, search, evaluate and report.
        truth: ground truth CSV (a benchmark brings its own).
        groups: CSV ``query_id,group`` for one more breakdown.
        query_images: images of the queries, for the pictures in the report.
        reference_images: images of the references.
        id_style: their ids are paths (``path``) or file names without suffix (``stem``).
        layout: of the benchmark; ``auto`` looks.
        model: for ``benchmark``.
        score: for searches: ``cosine``, ``paper``, ``strict``, ``soft``, ``hinge`` or ``all``.
        lam: weight of the log-norm difference; null: as calibrated for the model of ``benchmark=``,
            else 0.02.
        tau: log-norm difference that is free.
        k: references per query.
        normalize: score normalisation with the background: ``none``, ``subtract``, ``stretch``.
        beta: its weight.
        first: rank of its first neighbour, 0 = nearest.
        last: rank of its last neighbour.
        whiten: dimensions to whiten to, fitted on the background; 0 leaves the embeddings alone.
        negatives: weight of negative embedding subtraction with the background (0.35 in its paper);
            0: none.
        engine: ``auto``, ``faiss``, ``exact``.
        precision: whose lowest threshold the breakdowns and false-match rates use.
        output: folder for metrics.json, report.md and report.html.
        bootstrap: replicates of the intervals; 0 leaves them out.
        seed: of the bootstrap.
        workers: processes that decode, for ``benchmark``; null: none beside a model on the CPU,
            else one a core.
    """

    predictions: str | None = None
    compare: list[str] = field(default_factory=list)
    queries: str | None = None
    references: str | None = None
    background: str | None = None
    benchmark: str | None = None
    truth: str | None = None
    groups: str | None = None
    query_images: str | None = None
    reference_images: str | None = None
    id_style: str = "path"
    layout: str = "auto"
    model: str = "asl_lite0"
    score: str = "hinge"
    lam: float | None = None
    tau: float | None = None
    k: int = 10
    normalize: str = "none"
    beta: float = 1.0
    first: int = 0
    last: int = 2
    whiten: int = 0
    negatives: float = 0.0
    engine: str = "auto"
    precision: float = 0.9
    output: str = MISSING
    bootstrap: int = 200
    seed: int = 0
    workers: int | None = None


@dataclass(frozen=True, eq=False)
class Runs:
    """What is evaluated: named predictions, and what else is known of the images."""

    pairs: Mapping[str, ScoredPairs]
    truth: TruthPairs
    features: Features | None = None
    query_images: Catalog | None = None
    reference_images: Catalog | None = None


def run(config: EvaluateConfig) -> int:
    """Evaluate what the keys name."""
    given = [config.predictions, config.compare, config.queries, config.benchmark]
    if sum(bool(value) for value in given) != 1:
        raise UsageError(
            "give one of predictions=, compare=[A,B], queries= (with references=), or benchmark="
        )
    if not 0 < config.precision <= 1:
        raise UsageError(f"precision: must be in (0, 1], got {config.precision}")
    for key in (
        ("references", "background", "truth", "query_images", "reference_images")
        if config.benchmark
        else ()
    ):
        if getattr(config, key):
            raise UsageError(
                f"{key}: benchmark= brings its own; leave it out, or give queries= instead of benchmark="
            )
    runs = _embed(config) if config.benchmark else _open(config)
    groups = read_groups(_there("groups", config.groups)) if config.groups else None
    for name, pairs in runs.pairs.items():
        check_ids(pairs, runs.truth, name=name)
    settings: dict[str, Any] = {
        "bootstrap": config.bootstrap,
        "seed": config.seed,
        "precision": config.precision,
    }
    evaluations = {
        name: evaluate(pairs, runs.truth, groups=groups, **settings)
        for name, pairs in runs.pairs.items()
    }
    differences = _differences(config, runs) if config.compare else {}
    _write(config, runs, evaluations, differences)
    _print(config, runs, evaluations, differences)
    return 0


def _there(key: str, path: str) -> str:
    if not Path(path).exists():
        raise UsageError(f"{key}: there is no {path}")
    return path


def _open(config: EvaluateConfig) -> Runs:
    if config.truth is None:
        raise UsageError("truth: needed, e.g. `truth=truth.csv`")
    truth = read_truth(_there("truth", config.truth))
    features = _features(config) if config.queries else None
    images = [
        open_catalog(_there(key, source), id_style=config.id_style) if source else None  # type: ignore[arg-type]
        for key, source in (
            ("query_images", config.query_images),
            ("reference_images", config.reference_images),
        )
    ]
    return Runs(
        _read(config) if features is None else _search(config, features), truth, features, *images
    )


def _read(config: EvaluateConfig) -> dict[str, ScoredPairs]:
    if config.predictions:
        return {
            Path(config.predictions).stem: read_pairs(_there("predictions", config.predictions))
        }
    files = list(dict.fromkeys(config.compare))
    if len(files) < 2:
        raise UsageError(
            f"compare: needs two different files, e.g. compare=[a.csv,b.csv]; got {config.compare}"
        )
    stems = [Path(file).stem for file in files]
    names = stems if len(set(stems)) == len(stems) else files
    return {
        name: read_pairs(_there("compare", file)) for name, file in zip(names, files, strict=True)
    }


def _features(config: EvaluateConfig) -> Features:
    # Only searches need an engine; the other ways load none.
    from asl.features.feature_store import FeatureStore
    from asl.features.store_groups import check_models
    from asl.pipeline.benchmark_run import Features

    paths = [(key, getattr(config, key) or "") for key in ("queries", "references", "background")]
    stores = {
        key: FeatureStore.open(path) for key, path in paths if path and FeatureStore.is_store(path)
    }
    check_models({key: store.manifest["model"] for key, store in stores.items()})
    queries, references = _sides(config)
    background = (
        _embeddings("background", config.background).as_background() if config.background else None
    )
    return Features(queries.as_queries(), references.as_references(), background)


def _search(
    config: EvaluateConfig, features: Features, *, weights: str = ""
) -> dict[str, ScoredPairs]:
    from asl.index.exact.exact_search import search
    from asl.pipeline.benchmark_run import postprocess
    from asl.scoring.normalization import normalization_of

    rule = normalization_of(
        config.normalize, beta=config.beta, first=config.first, last=config.last
    )
    if features.background is None and (rule or config.whiten or config.negatives):
        raise UsageError(
            "background: needed for normalize, whiten and negatives (training images, never references)"
        )
    features = postprocess(features, whiten=config.whiten, negatives=config.negatives)
    options: dict[str, Any] = {
        "k": config.k,
        "engine": config.engine,
        "background": features.background,
    }
    runs = {}
    for name, score in _scores(config, features, weights).items():
        score = replace(score, normalization=rule)
        with progress_bar(f"searching ({name})", unit="queries") as progress:
            runs[name] = search(
                features.queries, features.references, score=score, progress=progress, **options
            )
    return runs


def _scores(config: EvaluateConfig, features: Features, weights: str) -> dict[str, Score]:
    from asl.pipeline.benchmark_run import model_modes
    from asl.scoring.score import MODES

    if config.score not in (*MODES, "all"):
        raise UsageError(f"score: expected one of {', '.join(MODES)} or all, got {config.score!r}")
    every = model_modes(features, config.model, weights, lam=config.lam, tau=config.tau)
    return every if config.score == "all" else {config.score: every[config.score]}


def _sides(config: EvaluateConfig) -> tuple[Embeddings, Embeddings]:
    from asl.data.isc_hdf5 import read_submission

    if config.references:
        return _embeddings("queries", str(config.queries)), _embeddings(
            "references", config.references
        )
    if Path(str(config.queries)).suffix not in (".hdf5", ".h5"):
        raise UsageError("references: needed beside queries (only an ISC submission holds both)")
    return read_submission(_there("queries", str(config.queries)))


def _embeddings(key: str, path: str) -> Embeddings:
    from asl.data.isc_hdf5 import read_descriptors
    from asl.features.feature_store import FeatureStore

    _there(key, path)
    return (
        read_descriptors(path)
        if Path(path).suffix in (".hdf5", ".h5")
        else FeatureStore.open(path).embeddings()
    )


def _embed(config: EvaluateConfig) -> Runs:
    from asl.data.layouts import open_benchmark
    from asl.models import load_embedder, model_hash
    from asl.pipeline.benchmark_run import extract_benchmark

    benchmark, embedder = (
        open_benchmark(str(config.benchmark), layout=config.layout),
        load_embedder(config.model),
    )
    features = extract_benchmark(
        benchmark, embedder, Path(config.output) / "features", workers=config.workers
    )
    pairs = _search(config, features, weights=model_hash(embedder))
    return Runs(pairs, benchmark.truth, features, benchmark.queries, benchmark.references)


def _differences(config: EvaluateConfig, runs: Runs) -> dict[str, dict[str, Difference]]:
    (_, first), *others = runs.pairs.items()
    replicates = max(config.bootstrap, 1000)
    return {
        name: compare(other, first, runs.truth, bootstrap=replicates, seed=config.seed)
        for name, other in others
    }


def _write(
    config: EvaluateConfig,
    runs: Runs,
    evaluations: Mapping[str, Evaluation],
    differences: Mapping[str, Mapping[str, Difference]],
) -> None:
    output, features = Path(config.output), runs.features
    for name, pairs in runs.pairs.items() if features is not None else ():
        write_pairs(pairs, output / "predictions" / f"{name}.csv")
    write_report(
        output / "report.html",
        title=" against ".join(runs.pairs)
        if differences
        else Path(config.benchmark or output).resolve().name,
        evaluations=evaluations,
        pairs=runs.pairs,
        truth=runs.truth,
        queries=features.queries if features else None,
        references=features.references if features else None,
        query_images=runs.query_images,
        reference_images=runs.reference_images,
        differences=differences,
        context=provenance(vars(config), command="evaluate", seed=config.seed),
    )


def _print(
    config: EvaluateConfig,
    runs: Runs,
    evaluations: Mapping[str, Evaluation],
    differences: Mapping[str, Mapping[str, Difference]],
) -> None:
    console = Console()
    console.print(rich_table(evaluations))
    for evaluation in evaluations.values() if len(evaluations) == 1 else ():
        for breakdown, title in ((evaluation.by_kind, "kind"), (evaluation.by_group, "group")):
            if breakdown:
                console.print(rich_rows(kind_rows(breakdown, head=title)))
    if differences:
        console.print(rich_rows(difference_rows(differences)))
    for name, pairs in runs.pairs.items():
        missing = missing_predictions(pairs, runs.truth)
        if len(missing):
            total = len(runs.truth.queries)
            console.print(
                f"{name}: {len(missing)} of {total} queries have no prediction, e.g. {missing[0]}"
            )
    console.print(f"report: {Path(config.output) / 'report.html'}")


main = entry_point("evaluate", EvaluateConfig, run)

if __name__ == "__main__":
    main()
