"""Evaluate the runs of a benchmark and write predictions, metrics and the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asl.data.layouts import Benchmark
from asl.data.pairs import write_pairs
from asl.features.embed_options import EmbedOptions
from asl.metrics.directional import directional
from asl.metrics.evaluation import Evaluation, evaluate
from asl.models import SavedModel
from asl.pipeline.benchmark_run import Protocol, score_modes
from asl.pipeline.features import embed_benchmark
from asl.pipeline.inputs import SearchInput
from asl.report.html import Report, write_report
from asl.scoring.score import Score
from asl.shared_defaults import BOOTSTRAP
from asl.types import ScoredPairs

if TYPE_CHECKING:
    from asl.models import Embedder


def score_benchmark(
    benchmark: Benchmark,
    model: SavedModel | Embedder,
    scores: Callable[[SearchInput], Mapping[str, Score]],
    *,
    output: Path,
    protocol: Protocol | None = None,
    bootstrap: int = BOOTSTRAP,
    context: Mapping[str, Any] | None = None,
    options: EmbedOptions | None = None,
) -> dict[str, Evaluation]:
    """Embed, search, evaluate and report; files go under ``output``.

    Writes ``features/<role>/``, ``predictions/<score>.csv``, ``metrics.json``, ``report.md`` and
    ``report.html``.

    Args:
        benchmark: its images and truth.
        model: saved, or a live network.
        scores: from the embeddings to named scores, e.g. :func:`every_mode`.
        output: folder.
        protocol: length of the lists; 10 references a query unless given.
        bootstrap: replicates of the intervals.
        context: facts for the report.
        options: of the extraction.

    Returns:
        score name -> evaluation, in the order of the scores.
    """
    protocol = protocol or Protocol()
    inputs = embed_benchmark(benchmark, model, output / "features", options=options)
    runs = score_modes(inputs, scores(inputs), protocol=protocol)
    return report_runs(
        benchmark,
        inputs,
        runs,
        output=output,
        protocol=protocol,
        bootstrap=bootstrap,
        context=context,
    )


def report_runs(
    benchmark: Benchmark,
    inputs: SearchInput,
    runs: Mapping[str, ScoredPairs],
    *,
    output: Path,
    protocol: Protocol,
    bootstrap: int = BOOTSTRAP,
    context: Mapping[str, Any] | None = None,
) -> dict[str, Evaluation]:
    """Evaluate runs, and write predictions, metrics and a report that names the protocol."""
    evaluations = {
        name: evaluate(pairs, benchmark.truth, bootstrap=bootstrap) for name, pairs in runs.items()
    }
    for name, pairs in runs.items():
        write_pairs(pairs, output / "predictions" / f"{name}.csv")
    first = next(iter(runs.values()))
    norms = directional(benchmark.truth, inputs.queries, inputs.references, hard=first)
    report = Report(
        title=f"{benchmark.name}: query to reference, {protocol}",
        evaluations=evaluations,
        pairs=runs,
        truth=benchmark.truth,
        queries=inputs.queries,
        references=inputs.references,
        query_images=benchmark.queries,
        reference_images=benchmark.references,
        norms=norms,
        facts={"protocol": str(protocol), **(context or {})},
    )
    write_report(output / "report.html", report)
    return evaluations
