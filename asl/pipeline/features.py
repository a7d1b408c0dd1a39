"""Embed a catalog or the roles of a benchmark, join several models, postprocess.

What embeds is imported on use: a search of stores loads no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from asl.console.plain_console import PlainConsole
from asl.console.progress import progress_bar
from asl.counts import counted
from asl.data.catalog import Catalog, subset
from asl.data.layouts import Benchmark
from asl.features.embed_options import EmbedOptions
from asl.features.feature_store import FeatureStore
from asl.features.regions import region_embeddings, regions_of
from asl.pipeline.inputs import SearchInput
from asl.scoring.ensemble import ensemble
from asl.scoring.postprocess import PostProcess
from asl.types import Embeddings

if TYPE_CHECKING:
    from asl.models import Embedder, SavedModel


def embed_images(
    catalog: Catalog,
    model: SavedModel | Embedder,
    output: Path,
    *,
    role: str,
    regions: str = "none",
    options: EmbedOptions | None = None,
) -> FeatureStore:
    """Embed a catalog into a store, regions into stores inside it; unfinished stores are resumed.

    Args:
        catalog: images.
        model: saved, or a live network.
        output: folder of the store.
        role: label of the progress bar; ``queries`` get no thumbnail region.
        regions: parts embedded as well: ``none``, ``coarse``, ``fine``.
        options: settings of the extraction.
    """
    from asl.features.extraction import extract_regions, extract_together

    options = options or EmbedOptions()
    with progress_bar(f"embedding {role}", unit="images") as progress:
        whole = {output: None}
        (store,) = extract_together(catalog, model, whole, options, progress)
    parts = regions_of(regions, role=role)
    if parts:
        with progress_bar(
            f"embedding {counted(len(parts), 'region')} of {role}", unit="images"
        ) as progress:
            extract_regions(catalog, model, output, parts, options, progress)
    return store


def embedded_ids(store: FeatureStore, catalog: Catalog) -> list[str]:
    """List the ids of a catalog that a store holds, in the catalog's order."""
    known = set(store.ids.tolist())
    return [name for name in catalog.ids.tolist() if name in known]


def embed_benchmark(
    benchmark: Benchmark,
    model: SavedModel | Embedder,
    output: Path,
    *,
    regions: str = "none",
    query_regions: str = "none",
    background: bool = False,
    options: EmbedOptions | None = None,
) -> SearchInput:
    """Embed the queries and references of a benchmark, and its training images where they are used.

    Args:
        benchmark: its images.
        model: saved, or a live network.
        output: folder of the feature stores; finished stores are reused, images of other
            benchmarks in them are ignored.
        regions: parts of the references embedded as well: ``none``, ``coarse``, ``fine``.
        query_regions: parts of the queries embedded as well.
        background: embed the training images, too (all of ``benchmark.train``; see
            :func:`thin_background`).
        options: settings of the extraction.
    """
    from asl.models import model_hash

    def embed(
        catalog: Catalog, role: str, parts: str = "none"
    ) -> tuple[Embeddings, list[Embeddings]]:
        store = embed_images(
            catalog, model, output / role, role=role, regions=parts, options=options
        )
        whole = store.embeddings(embedded_ids(store, catalog))
        return whole, region_embeddings(store, regions_of(parts, role=role), whole)

    train = embed(benchmark.train, "background")[0] if background and benchmark.train else None
    queries, parts_of_queries = embed(benchmark.queries, "queries", query_regions)
    references, parts_of_references = embed(benchmark.references, "references", regions)
    return SearchInput(
        queries.as_queries(),
        references.as_references(),
        None if train is None else train.as_background(),
        query_regions=parts_of_queries,
        reference_regions=parts_of_references,
        query_images=benchmark.queries,
        reference_images=benchmark.references,
        model=model_hash(model),
    )


def thin_background(train: Catalog, count: int) -> Catalog:
    """Choose ``count`` training images, evenly over their list (0: all), and print how many."""
    total = len(train)
    if not 0 < count < total:
        PlainConsole().say(f"background: all {counted(total, 'training image')} embedded")
        return train
    rows = np.linspace(0, total - 1, count).round().astype(np.int64)
    PlainConsole().say(
        f"background: {count} of {total} training images are embedded, evenly chosen"
    )
    return subset(train, rows)


def join_features(members: Sequence[SearchInput]) -> SearchInput:
    """Join the features of several models (or sizes) for the same images; see :func:`ensemble`.

    Raises:
        AslError: a member lacks images that another one has (unreadable ones).
    """
    first = members[0]
    if len(members) == 1:
        return first
    backgrounds = [member.background for member in members if member.background is not None]
    query_parts = zip(*(member.query_regions for member in members), strict=True)
    reference_parts = zip(*(member.reference_regions for member in members), strict=True)
    return SearchInput(
        ensemble([member.queries for member in members]),
        ensemble([member.references for member in members]),
        ensemble(backgrounds) if backgrounds else None,
        query_regions=[ensemble(parts) for parts in query_parts],
        reference_regions=[ensemble(parts) for parts in reference_parts],
        query_images=first.query_images,
        reference_images=first.reference_images,
        model="+".join(member.model for member in members),
    )


def postprocess(inputs: SearchInput, *, whiten: int = 0, negatives: float = 0.0) -> SearchInput:
    """Whiten all embeddings, regions included, and subtract their nearest background vectors.

    Args:
        inputs: of a search or a benchmark.
        whiten: dimensions to whiten to; 0: no whitening.
        negatives: weight of negative embedding subtraction; 0: none.

    Raises:
        UsageError: a step is asked for and there is no background to fit it on.
        AslError: the background is too small for it.
    """
    if not (whiten or negatives):
        return inputs
    steps = PostProcess.fit(inputs.background, whiten=whiten, negatives=negatives)
    return inputs.mapped(steps.apply, background=steps.background)
