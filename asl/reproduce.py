"""From raw images to a benchmark's table, beside the published rows.

  python -m asl.reproduce benchmark=ndec root=NDEC model=runs/mine
  python -m asl.reproduce benchmark=disc21_dev2 root=DISC21 model=asl_lite0 normalize=true
  python -m asl.reproduce benchmark=sample model=lite0
  python -m asl.reproduce benchmark=folder root=BENCH regions=fine query_regions=fine verify=true output=runs/bench

Embeds queries, references and training images, optionally whitens, searches in every score mode, optionally
normalises scores and verifies the candidates' pixels, evaluates, reports. Every stage is kept under OUTPUT and reused
when the same command is started again; features belong to the model's hash, so another model starts anew.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import MISSING
from rich.console import Console

from asl.data.layouts import Benchmark, open_benchmark
from asl.data.sample import sample_benchmark
from asl.entry import entry_point
from asl.features.regions import regions_of
from asl.models import load_embedder, model_hash
from asl.pipeline import (
    Features,
    extract_benchmark,
    find_candidates,
    model_modes,
    report_runs,
    score_modes,
    verify_run,
    whiten,
)
from asl.report.provenance import provenance
from asl.report.published import published_table
from asl.report.table import rich_table
from asl.scoring.score import Score, ScoreNormalization
from asl.types import UsageError

BENCHMARKS = ("ndec", "disc21_dev1", "disc21_dev2", "disc21_final", "copydays", "folder", "sample")


@dataclass
class ReproduceConfig:
    """Keys of ``python -m asl.reproduce``.

    Attributes:
        benchmark: one of ``ndec``, ``disc21_dev1``, ``disc21_dev2``, ``disc21_final``, ``copydays``, ``folder``,
            ``sample``.
        root: its folder; not needed for ``sample``.
        model: ``asl_lite0``, ``lite0`` or the path of a saved embedder.
        output: folder for every stage; null: outputs/reproduce-<benchmark>-<model hash>.
        lam: weight of the log-norm difference; null: as calibrated for the model.
        tau: log-norm difference that is free; null: as calibrated for the model.
        k: references per query.
        regions: parts of the references that are embedded and searched beside the whole: ``none``, ``coarse`` (5) or
            ``fine`` (14, for small crops).
        query_regions: parts of the queries, for the candidates of ``verify`` (pictures in pictures).
        whiten: dimensions to whiten to, fitted on the training images; 0 leaves the embeddings alone.
        normalize: normalise scores with the training images.
        beta: weight of score normalisation.
        first: rank of its first neighbour.
        last: rank of its last neighbour.
        verify: look at the pixels of the best candidates, too.
        verify_top: candidates per query that are looked at.
        bootstrap: replicates of the intervals.
        workers: processes that decode and verify.
        batch_size: images per forward pass.
        device: ``auto``, ``cpu``, ``cuda``.
    """

    benchmark: str = MISSING
    root: str | None = None
    model: str = "asl_lite0"
    output: str | None = None
    lam: float | None = None
    tau: float | None = None
    k: int = 10
    regions: str = "none"
    query_regions: str = "none"
    whiten: int = 0
    normalize: bool = False
    beta: float = 1.0
    first: int = 0
    last: int = 2
    verify: bool = False
    verify_top: int = 5
    bootstrap: int = 200
    workers: int = 1
    batch_size: int = 64
    device: str = "auto"


def run(config: ReproduceConfig) -> int:
    """Every stage, then the table."""
    regions_of(config.regions), regions_of(config.query_regions, key="query_regions")
    if config.whiten and (config.regions, config.query_regions) != ("none", "none"):
        raise UsageError("whiten: works on whole images only; use it with regions=none and query_regions=none")
    benchmark = _open(config)
    embedder = load_embedder(config.model)
    weights = model_hash(embedder)
    output = Path(config.output or f"outputs/reproduce-{config.benchmark}-{weights}")
    features = extract_benchmark(
        benchmark,
        embedder,
        output / "features",
        regions=config.regions,
        query_regions=config.query_regions,
        workers=config.workers,
        batch_size=config.batch_size,
        device=config.device,
    )
    if config.whiten:
        features = whiten(features, config.whiten)
    scores = _scores(config, features, weights)
    runs = score_modes(features, scores, k=config.k)
    if config.verify:
        candidates = find_candidates(features, scores["hinge"], k=config.k)
        runs["verified"] = verify_run(
            candidates, benchmark, top=config.verify_top, workers=config.workers, cache=output / "local_features"
        )
    context: dict[str, Any] = {"model": config.model, **provenance(vars(config), command="reproduce")}
    evaluations = report_runs(benchmark, features, runs, output=output, bootstrap=config.bootstrap, context=context)
    console = Console()
    console.print(rich_table(evaluations, title=f"{benchmark.name}, {config.model}"))
    rows = published_table(config.benchmark)
    if rows is not None:
        console.print(rows)
    console.print(f"report: {output / 'report.html'}")
    return 0


def _open(config: ReproduceConfig) -> Benchmark:
    if config.benchmark not in BENCHMARKS:
        raise UsageError(f"benchmark: expected one of {', '.join(BENCHMARKS)}, got {config.benchmark!r}")
    if config.benchmark == "sample":
        return open_benchmark(sample_benchmark())
    if config.root is None:
        raise UsageError(f"root: needed for {config.benchmark}; data/README.md shows the folders")
    return open_benchmark(config.root, layout=config.benchmark)


def _scores(config: ReproduceConfig, features: Features, model: str) -> dict[str, Score]:
    scores = model_modes(features, config.model, model, lam=config.lam, tau=config.tau)
    if not config.normalize:
        return scores
    if features.background is None:
        raise UsageError("normalize: this benchmark has no training images to normalise with")
    rule = ScoreNormalization(config.beta, config.first, config.last)
    return scores | {f"{name}+SN": replace(scores[name], normalization=rule) for name in ("cosine", "hinge")}


main = entry_point("reproduce", ReproduceConfig, run)

if __name__ == "__main__":
    main()
