"""Get the runs that are evaluated: read predictions, or search descriptors or a benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from asl.data.catalog import Catalog
from asl.data.pairs import read_pairs
from asl.defaults import BACKGROUND_IMAGES
from asl.metrics.shared_ids import compare_features, compare_predictions
from asl.pipeline.key_checks import check_background_size
from asl.scoring.normalization import ScoreNormalization
from asl.scoring.score import Score
from asl.types import ScoredPairs, TruthPairs, UsageError

if TYPE_CHECKING:  # predictions are evaluated without engines and torch
    from asl.pipeline.benchmark_run import Protocol
    from asl.pipeline.inputs import SearchInput

Images = tuple[Catalog | None, Catalog | None]


@dataclass(frozen=True, eq=False)
class Runs:
    """Named predictions that are evaluated together.

    Attributes:
        pairs: name -> predictions.
        truth: ground truth of all of them.
        protocol: how long their lists are, for people.
        features: embeddings, where they were searched here.
        query_images: for the pictures of the report.
        reference_images: for the pictures of the report.
    """

    pairs: Mapping[str, ScoredPairs]
    truth: TruthPairs
    protocol: str
    features: SearchInput | None = None
    query_images: Catalog | None = None
    reference_images: Catalog | None = None


@dataclass(frozen=True)
class SearchSettings:
    """Settings of a search of descriptors.

    Attributes:
        score: a mode or ``all``.
        model: name or path, for the calibrated constants.
        lam: weight of the log-norm difference; None: calibrated, else the default.
        tau: free log-norm difference; None: calibrated, else the default.
        protocol: length of the lists.
        normalization: of the scores; None: none.
        whiten: dimensions to whiten to; 0: no whitening.
        negatives: weight of negative embedding subtraction; 0: none.
        engine: name of the engine.
    """

    score: str
    model: str
    lam: float | None
    tau: float | None
    protocol: Protocol
    normalization: ScoreNormalization | None
    whiten: int
    negatives: float
    engine: str


def read_predictions(files: Sequence[str], truth: TruthPairs, *, key: str, images: Images) -> Runs:
    """Read files of predictions, named by their stems where these differ, and compare their ids.

    Raises:
        UsageError: a file does not exist.
        AslError: a file cannot be read, or its ids are not those of the truth.
    """
    for file in files:
        if not Path(file).exists():
            raise UsageError(f"{key}: there is no {file}")
    stems = [Path(file).stem for file in files]
    names = stems if len(set(stems)) == len(stems) else files
    pairs = {name: read_pairs(file) for name, file in zip(names, files, strict=True)}
    for name, predictions in pairs.items():
        _warn(compare_predictions(predictions, truth, name=name))
    counts = ", ".join(f"{len(predictions):,}" for predictions in pairs.values())
    return Runs(pairs, truth, f"predictions as given ({counts} pairs)", None, *images)


def search_descriptors(
    queries: str,
    references: str | None,
    background: str | None,
    settings: SearchSettings,
    *,
    truth: TruthPairs,
    images: Images,
) -> Runs:
    """Search feature stores or HDF5 descriptors after their ids are compared with the truth."""
    from asl.pipeline.descriptors import open_descriptors

    inputs = open_descriptors(
        queries, references, background, query_images=images[0], reference_images=images[1]
    )
    _warn(compare_features(truth, queries=inputs.queries.ids, references=inputs.references.ids))
    return _searched(inputs, truth, settings)


def search_benchmark(
    path: str,
    settings: SearchSettings,
    *,
    layout: str,
    features: Path,
    background: bool,
    workers: int | None,
) -> Runs:
    """Embed a benchmark and search it.

    Args:
        path: folder of the benchmark.
        settings: of the search.
        layout: of the folder; ``auto`` detects it.
        features: folder of the feature stores.
        background: embed training images (100,000 at most) for the settings.
        workers: processes that decode.
    """
    from asl.data.layouts import open_benchmark
    from asl.features.extraction import EmbedOptions
    from asl.models import load_embedder
    from asl.pipeline.features import embed_benchmark, thin_background

    benchmark = open_benchmark(path, layout=layout)
    if background and benchmark.train is None:
        raise UsageError(
            f"normalize, whiten, negatives: need training images, and {path} has none (train/)"
        )
    embedder = load_embedder(settings.model)
    if background and benchmark.train is not None:
        train = thin_background(benchmark.train, BACKGROUND_IMAGES)
        check_background_size(
            len(train), embedder.dim, whiten=settings.whiten, rule=settings.normalization
        )
        benchmark = replace(benchmark, train=train)
    inputs = embed_benchmark(
        benchmark, embedder, features, background=background, options=EmbedOptions(workers=workers)
    )
    return _searched(inputs, benchmark.truth, settings)


def _searched(inputs: SearchInput, truth: TruthPairs, settings: SearchSettings) -> Runs:
    from asl.pipeline.benchmark_run import score_modes
    from asl.pipeline.features import postprocess

    inputs = postprocess(inputs, whiten=settings.whiten, negatives=settings.negatives)
    pairs = score_modes(
        inputs, _scores(inputs, settings), protocol=settings.protocol, engine=settings.engine
    )
    return Runs(
        pairs,
        truth,
        str(settings.protocol),
        inputs,
        inputs.query_images,
        inputs.reference_images,
    )


def _scores(inputs: SearchInput, settings: SearchSettings) -> dict[str, Score]:
    from asl.pipeline.benchmark_run import model_modes

    modes = model_modes(inputs, settings.model, inputs.model, lam=settings.lam, tau=settings.tau)
    chosen = modes if settings.score == "all" else {settings.score: modes[settings.score]}
    return {
        name: replace(score, normalization=settings.normalization) for name, score in chosen.items()
    }


def _warn(lines: Sequence[str]) -> None:
    for line in lines:
        Console(stderr=True).print(f"[yellow]{line}", highlight=False)
