"""From raw images to a benchmark's table, beside the published rows.

  python -m asl.reproduce benchmark=ndec root=NDEC model=runs/mine
  python -m asl.reproduce benchmark=disc21_dev2 root=DISC21 model=asl_lite0 normalize=subtract
  python -m asl.reproduce benchmark=sample model=lite0
  python -m asl.reproduce benchmark=folder root=BENCH verify=true output=runs/bench

Embeds queries, references and training images, optionally whitens, searches in every score mode,
optionally normalises scores and verifies the candidates' pixels, evaluates, reports. Every stage is
kept under OUTPUT and reused when the same command is started again; features belong to the model's
hash, so another model starts anew.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import MISSING
from rich.console import Console

from asl.console.entry import entry_point
from asl.data.catalog import subset
from asl.data.layouts import Benchmark, open_benchmark
from asl.data.sample_benchmark import sample_benchmark
from asl.features.regions import regions_of
from asl.models import Embedder, load_embedder, model_hash
from asl.pipeline.benchmark_run import (
    Features,
    extract_benchmark,
    join_features,
    model_modes,
    postprocess,
    report_runs,
    score_modes,
)
from asl.pipeline.candidates import verify_run
from asl.report.headline_table import rich_table
from asl.report.provenance import provenance
from asl.report.published import published_table
from asl.scoring.normalization import ScoreNormalization, normalization_of
from asl.scoring.score import Score
from asl.types import UsageError

BENCHMARKS = ("ndec", "disc21_dev1", "disc21_dev2", "disc21_final", "copydays", "folder", "sample")


@dataclass
class ReproduceConfig:
    """Keys of ``python -m asl.reproduce``.

    Attributes:
        benchmark: one of ``ndec``, ``disc21_dev1``, ``disc21_dev2``, ``disc21_final``,
            ``copydays``, ``folder``, ``sample``.
        root: its folder; not needed for ``sample``.
        model: ``asl_lite0``, ``lite0`` or the path of a saved embedder; several joined by ``+``
            count as one (the mean of their cosines).
        sizes: pixels of the images instead of the model's own; several count as one.
        output: folder for every stage; null: outputs/reproduce-<benchmark>-<model hash>.
        lam: weight of the log-norm difference; null: as calibrated for the model.
        tau: log-norm difference that is free; null: as calibrated for the model.
        k: references per query.
        regions: parts of the references that are embedded and searched beside the whole: ``none``,
            ``coarse`` (6) or ``fine`` (15, for small crops).
        query_regions: parts of the queries, for the candidates of ``verify`` (pictures in
            pictures).
        background: training images that are embedded for the three below, evenly over their list;
            0: all.
        whiten: dimensions to whiten to, fitted on the training images; 0 leaves the embeddings
            alone.
        negatives: weight of negative embedding subtraction with the training images (0.35 in its
            paper); 0: none.
        normalize: score normalisation with the training images: ``none``, ``subtract``,
            ``stretch``.
        beta: weight of score normalisation.
        first: rank of its first neighbour.
        last: rank of its last neighbour.
        verify: look at the pixels of the best candidates, too.
        verify_top: candidates of a query by its embeddings that are looked at.
        verify_local: candidates of a query by local features that are looked at; 0: none.
        bootstrap: replicates of the intervals.
        workers: processes that decode and verify; null: one a core, but none that decode beside a
            model on the CPU.
        batch_size: images per forward pass.
        device: ``auto``, ``cpu``, ``cuda``.
    """

    benchmark: str = MISSING
    root: str | None = None
    model: str = "asl_lite0"
    sizes: list[int] | None = None
    output: str | None = None
    lam: float | None = None
    tau: float | None = None
    k: int = 10
    regions: str = "none"
    query_regions: str = "none"
    background: int = 0
    whiten: int = 0
    negatives: float = 0.0
    normalize: str = "none"
    beta: float = 1.0
    first: int = 0
    last: int = 2
    verify: bool = False
    verify_top: int = 3
    verify_local: int = 3
    bootstrap: int = 200
    workers: int | None = None
    batch_size: int = 64
    device: str = "auto"


def run(config: ReproduceConfig) -> int:
    """Every stage, then the table."""
    _check(config)
    rule = normalization_of(
        config.normalize, beta=config.beta, first=config.first, last=config.last
    )
    benchmark = _open(config)
    if benchmark.train is None and (config.whiten or config.negatives or rule):
        raise UsageError("whiten, negatives, normalize: this benchmark has no training images")
    members = _members(config)
    weights = "+".join(members)
    output = Path(config.output or f"outputs/reproduce-{config.benchmark}-{weights}")
    features = join_features(
        [
            extract_benchmark(
                benchmark,
                embedder,
                output / "features" / (name if len(members) > 1 else ""),
                regions=config.regions,
                query_regions=config.query_regions,
                workers=config.workers,
                batch_size=config.batch_size,
                device=config.device,
            )
            for name, embedder in members.items()
        ]
    )
    features = postprocess(features, whiten=config.whiten, negatives=config.negatives)
    scores = _scores(config, features, weights, rule)
    runs = score_modes(features, scores, k=config.k)
    if config.verify:
        runs["verified"] = verify_run(
            benchmark,
            features,
            scores["hinge"],
            top=config.verify_top,
            local=config.verify_local,
            workers=config.workers,
            cache=output / "local_features",
        )
    context: dict[str, Any] = {
        "model": config.model,
        **provenance(vars(config), command="reproduce"),
    }
    evaluations = report_runs(
        benchmark, features, runs, output=output, bootstrap=config.bootstrap, context=context
    )
    console = Console()
    console.print(rich_table(evaluations, title=f"{benchmark.name}, {config.model}"))
    rows = published_table(config.benchmark)
    if rows is not None:
        console.print(rows)
    console.print(f"report: {output / 'report.html'}")
    return 0


def _check(config: ReproduceConfig) -> None:
    """Refuse wrong values before anything is embedded."""
    regions_of(config.regions), regions_of(config.query_regions, key="query_regions")
    for name, least in (("verify_top", 1), ("verify_local", 0), ("background", 0)):
        if getattr(config, name) < least:
            raise UsageError(f"{name}: must be {least} or more, got {getattr(config, name)}")


def _members(config: ReproduceConfig) -> dict[str, Embedder]:
    """Hash -> embedder, of every model at every size."""
    names = [config.model] if Path(config.model).exists() else config.model.split("+")
    sizes: list[int | None] = list(config.sizes) if config.sizes else [None]
    embedders = [load_embedder(name, size=size) for name in names for size in sizes]
    return {model_hash(embedder): embedder for embedder in embedders}


def _open(config: ReproduceConfig) -> Benchmark:
    if config.benchmark not in BENCHMARKS:
        raise UsageError(
            f"benchmark: expected one of {', '.join(BENCHMARKS)}, got {config.benchmark!r}"
        )
    if config.benchmark == "sample":
        return _thin(open_benchmark(sample_benchmark()), config.background)
    if config.root is None:
        raise UsageError(f"root: needed for {config.benchmark}; data/README.md shows the folders")
    return _thin(open_benchmark(config.root, layout=config.benchmark), config.background)


def _thin(benchmark: Benchmark, background: int) -> Benchmark:
    """So many of its training images, evenly over their list; all where that is 0."""
    train = benchmark.train
    if train is None or not 0 < background < len(train):
        return benchmark
    rows = np.linspace(0, len(train) - 1, background).round().astype(np.int64)
    return replace(benchmark, train=subset(train, rows))


def _scores(
    config: ReproduceConfig, features: Features, model: str, rule: ScoreNormalization | None
) -> dict[str, Score]:
    scores = model_modes(features, config.model, model, lam=config.lam, tau=config.tau)
    if rule is None:
        return scores
    return scores | {
        f"{name}+SN": replace(scores[name], normalization=rule) for name in ("cosine", "hinge")
    }


main = entry_point("reproduce", ReproduceConfig, run)

if __name__ == "__main__":
    main()
