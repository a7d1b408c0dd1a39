"""From a model and a benchmark to scores: extract, search in every mode, evaluate, report.

Each stage leaves a file (feature stores, predictions, metrics), so a later run can start from any
of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from asl.console.progress import progress_bar
from asl.data.catalog import Catalog
from asl.data.layouts import Benchmark
from asl.data.pairs import write_pairs
from asl.features.extraction import extract
from asl.features.feature_store import FeatureStore
from asl.features.regions import extract_regions, region_embeddings, regions_of
from asl.index.exact.region_search import search_regions
from asl.metrics.directional import directional
from asl.metrics.evaluation import Evaluation, evaluate
from asl.models import Embedder
from asl.models.scores import base_score, find_calibrations
from asl.report.html import write_report
from asl.scoring.ensemble import ensemble
from asl.scoring.postprocess import PostProcess
from asl.scoring.score import MODES, Score
from asl.types import (
    BackgroundEmbeddings,
    Embeddings,
    QueryEmbeddings,
    ReferenceEmbeddings,
    ScoredPairs,
)


@dataclass(frozen=True)
class Features:
    """The embeddings of a benchmark, by role; background only where the benchmark has training images.

    Regions are embeddings of one part of every image each (:mod:`asl.features.regions`).
    """

    queries: QueryEmbeddings
    references: ReferenceEmbeddings
    background: BackgroundEmbeddings | None
    reference_regions: Sequence[Embeddings] = ()
    query_regions: Sequence[Embeddings] = ()


def extract_benchmark(
    benchmark: Benchmark,
    embedder: Embedder,
    output: Path,
    *,
    regions: str = "none",
    query_regions: str = "none",
    **options: Any,
) -> Features:
    """Embed queries, references and (where there are any) training images of a benchmark.

    Args:
        benchmark: its images.
        embedder: the model.
        output: folder for the feature stores; finished stores are reused, images of another
            benchmark in them are left out.
        regions: which parts of the references are embedded, too: ``none``, ``coarse``, ``fine``.
        query_regions: the same of the queries.
        options: passed to :func:`asl.features.extraction.extract` (batch size, workers, device
            ...).
    """

    def embed(
        catalog: Catalog, role: str, parts: str = "none"
    ) -> tuple[Embeddings, list[Embeddings]]:
        store = embed_images(catalog, embedder, output / role, role=role, regions=parts, **options)
        whole = store.embeddings(embedded_ids(store, catalog))
        return whole, region_embeddings(store, regions_of(parts, role=role), whole)

    background = (
        embed(benchmark.train, "background")[0].as_background()
        if benchmark.train is not None
        else None
    )
    queries, of_queries = embed(benchmark.queries, "queries", query_regions)
    references, of_references = embed(benchmark.references, "references", regions)
    return Features(
        queries.as_queries(), references.as_references(), background, of_references, of_queries
    )


def embed_images(
    catalog: Catalog,
    embedder: Embedder,
    output: Path,
    *,
    role: str,
    regions: str = "none",
    **options: Any,
) -> FeatureStore:
    """The store of whole images, with those of their regions inside; all are continued where they stopped.

    Args:
        catalog: images.
        embedder: the model.
        output: folder of the store.
        role: what the progress bar calls them.
        regions: which parts are embedded, too: ``none``, ``coarse``, ``fine``.
        options: passed to :func:`asl.features.extraction.extract`.
    """
    with progress_bar(f"embedding {role}", unit="images") as progress:
        store = extract(catalog, embedder, output=output, progress=progress, **options)
    parts = regions_of(regions, role=role)
    if parts:
        with progress_bar(f"embedding {len(parts)} regions of {role}", unit="images") as progress:
            extract_regions(
                catalog, embedder, output=output, regions=parts, progress=progress, **options
            )
    return store


def embedded_ids(store: FeatureStore, catalog: Catalog) -> list[str]:
    """The images of a catalog that a store has, in the catalog's order; what else is in the store does not count."""
    known = set(store.ids.tolist())
    return [name for name in catalog.ids.tolist() if name in known]


def every_mode(features: Features, score: Score) -> dict[str, Score]:
    """One score of each mode, with the constants of ``score``.

    ``soft`` gets its clipping range from images that are not evaluated: the middle 98 % of the
    background's log-norms (of the references' where there is no background).
    """
    norms = (features.background or features.references).log_norms
    low, high = np.quantile(norms, [0.01, 0.99]).tolist()
    clip = score.clip or (low, high)
    scores = {}
    for mode in MODES:
        kept = clip if mode == "soft" else None
        scores[mode] = replace(score, mode=mode, clip=kept)  # type: ignore[arg-type]
    return scores


def model_modes(
    features: Features,
    model: str | Path,
    model_hash: str,
    *,
    lam: float | None = None,
    tau: float | None = None,
) -> dict[str, Score]:
    """One score of each mode with the constants given, else those that each was calibrated with for the model."""
    scores = every_mode(features, base_score(model, model_hash, lam=lam, tau=tau))
    own = find_calibrations(model, model_hash).get("soft")
    if own and lam is None:
        scores["soft"] = replace(scores["soft"], lam=own.score.lam)
    return scores


def score_modes(
    features: Features, scores: Mapping[str, Score], *, k: int = 10
) -> dict[str, ScoredPairs]:
    """Search the references and their regions for every query, once per score; ``name -> pairs`` in the order given."""
    return {
        name: search_regions(
            features.queries,
            features.references,
            reference_regions=features.reference_regions,
            score=score,
            k=k,
            background=features.background,
        )
        for name, score in scores.items()
    }


def join_features(members: Sequence[Features]) -> Features:
    """The features of several models (or sizes) for the same images as those of one; see :func:`ensemble`.

    Raises:
        AslError: a member lacks images that another one has (unreadable ones).
    """
    if len(members) == 1:
        return members[0]
    backgrounds = [member.background for member in members if member.background is not None]
    return Features(
        ensemble([member.queries for member in members]),
        ensemble([member.references for member in members]),
        ensemble(backgrounds) if backgrounds else None,
        [
            ensemble(parts)
            for parts in zip(*(member.reference_regions for member in members), strict=True)
        ],
        [
            ensemble(parts)
            for parts in zip(*(member.query_regions for member in members), strict=True)
        ],
    )


def postprocess(features: Features, *, whiten: int = 0, negatives: float = 0.0) -> Features:
    """Whiten all embeddings, regions among them, and free them of what they share with the background.

    Args:
        features: of a benchmark.
        whiten: dimensions to whiten to; 0: no whitening.
        negatives: weight of negative embedding subtraction; 0: none.

    Raises:
        AslError: a step is asked for and there is no background to fit it on.
    """
    steps = PostProcess.fit(features.background, whiten=whiten, negatives=negatives)
    return Features(
        steps.apply(features.queries),
        steps.apply(features.references),
        steps.background,
        [steps.apply(region) for region in features.reference_regions],
        [steps.apply(region) for region in features.query_regions],
    )


def score_benchmark(
    benchmark: Benchmark,
    embedder: Embedder,
    scores: Callable[[Features], Mapping[str, Score]],
    *,
    output: Path,
    k: int = 10,
    bootstrap: int = 200,
    context: Mapping[str, Any] | None = None,
    **options: Any,
) -> dict[str, Evaluation]:
    """Extract, search, evaluate and report; files go under ``output``.

    Writes ``features/<role>/``, ``predictions/<score>.csv``, ``metrics.json``, ``report.md`` and
    ``report.html``.

    Args:
        benchmark: what to score on.
        embedder: the model.
        scores: from the embeddings to named scores, e.g. :func:`every_mode`.
        output: folder.
        k: references per query.
        bootstrap: replicates of the intervals.
        context: facts for the report.
        options: of the extraction.

    Returns:
        score name -> evaluation, in the order of the scores.
    """
    features = extract_benchmark(benchmark, embedder, output / "features", **options)
    chosen = scores(features)
    pairs = score_modes(features, chosen, k=k)
    return report_runs(
        benchmark, features, pairs, output=output, bootstrap=bootstrap, context=context
    )


def report_runs(
    benchmark: Benchmark,
    features: Features,
    pairs: Mapping[str, ScoredPairs],
    *,
    output: Path,
    bootstrap: int = 200,
    context: Mapping[str, Any] | None = None,
) -> dict[str, Evaluation]:
    """Evaluate runs and write predictions, metrics and the report."""
    evaluations = {
        name: evaluate(found, benchmark.truth, bootstrap=bootstrap) for name, found in pairs.items()
    }
    for name, found in pairs.items():
        write_pairs(found, output / "predictions" / f"{name}.csv")
    first = next(iter(pairs.values()))
    norms = directional(benchmark.truth, features.queries, features.references, hard=first)
    write_report(
        output / "report.html",
        title=f"{benchmark.name}: query to reference",
        evaluations=evaluations,
        pairs=pairs,
        truth=benchmark.truth,
        queries=features.queries,
        references=features.references,
        query_images=benchmark.queries,
        reference_images=benchmark.references,
        context={**(context or {}), "directional": norms},
    )
    return evaluations
