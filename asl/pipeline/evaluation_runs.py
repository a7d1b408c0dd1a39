"""Get the runs that are evaluated: read predictions, or search descriptors or a benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from asl.console.plain_console import PlainConsole
from asl.console.schemas.evaluate_config import EvaluateConfig
from asl.data.catalog import Catalog
from asl.data.pairs import read_pairs
from asl.metrics.shared_ids import compare_features, compare_predictions
from asl.pipeline.key_checks import check_background_size, score_normalization, uses_background
from asl.shared_defaults import BACKGROUND_IMAGES
from asl.storage import absent
from asl.types import ScoredPairs, TruthPairs, UsageError

if TYPE_CHECKING:  # predictions are evaluated without engines and torch
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


def read_predictions(files: Sequence[str], truth: TruthPairs, *, key: str, images: Images) -> Runs:
    """Read files of predictions, named by their stems where these differ, and compare their ids.

    Raises:
        UsageError: a file does not exist, or is a folder.
        AslError: a file cannot be read, or its ids are not those of the truth.
    """
    for file in files:
        if not Path(file).exists():
            raise UsageError(f"{key}: {absent(file)}")
        if Path(file).is_dir():
            raise UsageError(f"{key}: {file} is a folder; give a .csv or .parquet file of pairs")
    stems = [Path(file).stem for file in files]
    names = stems if len(set(stems)) == len(stems) else files
    pairs = {name: read_pairs(file) for name, file in zip(names, files, strict=True)}
    for name, predictions in pairs.items():
        _warn(compare_predictions(predictions, truth, name=name))
    counts = ", ".join(f"{len(predictions):,}" for predictions in pairs.values())
    return Runs(pairs, truth, f"predictions as given ({counts} pairs)", None, *images)


def search_descriptors(config: EvaluateConfig, truth: TruthPairs, images: Images) -> Runs:
    """Search feature stores or HDF5 descriptors after their ids are compared with the truth."""
    from asl.pipeline.descriptors import open_descriptors

    inputs = open_descriptors(
        str(config.queries),
        config.references,
        config.background,
        query_images=images[0],
        reference_images=images[1],
    )
    _warn(compare_features(truth, queries=inputs.queries.ids, references=inputs.references.ids))
    return _searched(inputs, truth, config)


def search_benchmark(config: EvaluateConfig) -> Runs:
    """Embed a benchmark into ``OUTPUT/features`` and search it.

    Training images (100,000 at most) are embedded where a key needs them.
    """
    from asl.data.layouts import open_benchmark
    from asl.features.embed_options import EmbedOptions
    from asl.models import open_model
    from asl.pipeline.features import embed_benchmark, thin_background

    benchmark = open_benchmark(str(config.benchmark), layout=config.layout)
    steps = uses_background(config)
    if steps and benchmark.train is None:
        raise UsageError(
            f"{', '.join(steps)}: need training images, and {config.benchmark} has none (train/)"
        )
    model = open_model(config.model)
    if steps and benchmark.train is not None:
        train = thin_background(benchmark.train, BACKGROUND_IMAGES)
        rule = score_normalization(config)
        check_background_size(len(train), model.dim, whiten=config.whiten, rule=rule)
        benchmark = replace(benchmark, train=train)
    inputs = embed_benchmark(
        benchmark,
        model,
        Path(config.output) / "features",
        background=bool(steps),
        options=EmbedOptions(workers=config.workers),
    )
    return _searched(inputs, benchmark.truth, config)


def _searched(inputs: SearchInput, truth: TruthPairs, config: EvaluateConfig) -> Runs:
    # Only searches need an engine; predictions are evaluated without one, and without torch.
    from asl.pipeline.benchmark_run import Protocol, model_modes, score_modes
    from asl.pipeline.features import postprocess

    protocol, rule = Protocol(config.k, config.most), score_normalization(config)
    inputs = postprocess(inputs, whiten=config.whiten, negatives=config.negatives)
    modes = model_modes(inputs, config.model, inputs.model, lam=config.lam, tau=config.tau)
    scores = {
        name: replace(score, normalization=rule)
        for name, score in modes.items()
        if config.score in (name, "all")
    }
    pairs = score_modes(inputs, scores, protocol=protocol, engine=config.engine)
    return Runs(pairs, truth, str(protocol), inputs, inputs.query_images, inputs.reference_images)


def _warn(lines: Sequence[str]) -> None:
    for line in lines:
        PlainConsole(stderr=True).warn(line)
