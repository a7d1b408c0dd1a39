"""The keys of ``python -m asl.search``, and what they mean together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from asl.features.regions import regions_of
from asl.index.exact.limits import Limits
from asl.matching.decision.thresholds import threshold_for
from asl.pipeline.candidates import check_limits
from asl.scoring.calibration import Calibration, score_of
from asl.scoring.normalization import normalization_of
from asl.scoring.postprocess import PostProcess
from asl.scoring.score import Score
from asl.types import AslError, UsageError


@dataclass
class SearchConfig:
    """Keys of ``python -m asl.search``.

    Attributes:
        queries: images, a feature store or an index.
        references: images, a feature store, an index (``asl.extract index=``), or
            ``milvus+ADDRESS``.
        output: ``.csv`` or ``.parquet``.
        model: embeds images; not needed where everything is a store.
        score: ``cosine``, ``paper``, ``strict``, ``soft``, ``hinge``, ``verified``.
        k: references per query; null: as many as ``most`` and ``above`` allow.
        most: only the so many best pairs over all queries (500,000 in the ISC 2021 challenge); null
            for all.
        above: only pairs with at least this score (``verified``: this probability); null for all.
        memory: GiB that the search may take beside the embeddings.
        regions: parts of the references that are searched, too: ``none``, ``coarse`` (6) or
            ``fine`` (15, small crops).
        query_regions: parts of the queries (pictures in pictures; but a photo finds what was
            cropped from it, too).
        lam: weight of the log-norm difference (``soft``, ``hinge``); null: as calibrated for the
            model.
        tau: log-norm difference that is free (``paper``, ``strict``, ``hinge``); null: as
            calibrated for the model.
        precision: keep only the pairs from the score on at which this share of them was right in
            the model's calibration; null keeps all.
        clip: range of log-norms in ``soft``, as [low, high]; null takes the middle 98 % of the
            references'.
        background: training images or a store of them (never references), for the next keys; null:
            none of them.
        normalize: score normalisation: ``subtract``, ``stretch`` (descriptor stretching) or
            ``none``.
        beta: weight of score normalisation.
        first: rank of its first neighbour, 0 = nearest.
        last: rank of its last neighbour.
        whiten: dimensions to whiten to, fitted on the background; 0: no whitening.
        negatives: weight of negative embedding subtraction with the background (0.35 in its paper);
            0: none.
        candidates: the score whose candidates ``verified`` looks at.
        local: references that local features propose to ``verified`` for each query beside the
            ``k``; 0: none.
        pairs: most pairs that ``verified`` looks at; null for all.
        seconds: time after which ``verified`` begins no new query; null for no limit.
        query_images: the images behind a store of queries, for ``verified``.
        reference_images: the images behind a store or an index of references, for ``verified``.
        engine: ``auto``, ``faiss``, ``tensorcore``, ``exact``.
        factory: a FAISS factory string instead (``'"IVF4096,SQ8"'``): approximate, its recall is
            measured and said.
        nprobe: lists of an inverted file that a query looks into (``factory``, Milvus); of graphs a
            fourth of ``ef``.
        recall: queries on which the recall of an approximate search is measured, which reads all
            references; 0: none.
        id_style: ids of images are paths (``path``) or file names without suffix (``stem``).
        batch_size: images per forward pass.
        workers: processes that decode or verify; null: one a core, but none that decode beside a
            model on the CPU.
        device: ``auto``, ``cpu``, ``cuda``.
    """

    queries: str = MISSING
    references: str = MISSING
    output: str = MISSING
    model: str = "asl_lite0"
    score: str = "hinge"
    k: int | None = 10
    most: int | None = None
    above: float | None = None
    memory: float = 4.0
    regions: str = "none"
    query_regions: str = "none"
    lam: float | None = None
    tau: float | None = None
    precision: float | None = None
    clip: list[float] | None = None
    background: str | None = None
    normalize: str = "subtract"
    beta: float = 1.0
    first: int = 0
    last: int = 2
    whiten: int = 0
    negatives: float = 0.0
    candidates: str = "hinge"
    local: int = 3
    pairs: int | None = None
    seconds: float | None = None
    query_images: str | None = None
    reference_images: str | None = None
    engine: str = "auto"
    factory: str | None = None
    nprobe: int = 16
    recall: int = 100
    id_style: str = "path"
    batch_size: int = 64
    workers: int | None = None
    device: str = "auto"


def check_keys(config: SearchConfig) -> None:
    """Refuse wrong values before anything is embedded."""
    build_score(config)
    regions_of(config.regions), regions_of(config.query_regions, key="query_regions")
    if not config.background:
        PostProcess.fit(None, whiten=config.whiten, negatives=config.negatives)
    if Path(config.output).suffix not in (".csv", ".parquet"):
        raise UsageError(
            f"output: expected a name that ends in .csv or .parquet, got {config.output}"
        )
    if config.precision is not None and not 0 < config.precision <= 1:
        raise UsageError(f"precision: must be in 0..1, got {config.precision}")
    for key, least in (("nprobe", 1), ("recall", 0)):
        if getattr(config, key) < least:
            raise UsageError(f"{key}: must be {least} or more, got {getattr(config, key)}")
    if config.memory <= 0:
        raise UsageError(f"memory: must be more than 0 GiB, got {config.memory}")
    if config.score != "verified":
        Limits.of(config.k, config.most, config.above, shape=(1, 1), mode=config.score)
    else:
        least_score(config, None)
        limits: dict[str, Any] = {
            "most": config.most,
            "pairs": config.pairs,
            "seconds": config.seconds,
        }
        check_limits(config.k, local=config.local, **limits)


def mode_of(config: SearchConfig) -> str:
    """The score that is searched by; for ``verified`` that of its candidates."""
    return config.candidates if config.score == "verified" else config.score


def least_score(config: SearchConfig, calibrated: Calibration | None) -> float | None:
    """The least score that is written, by ``precision`` or, where it is a probability, by ``above``."""
    if config.score == "verified":
        wanted = config.above, None if config.precision is None else threshold_for(config.precision)
        return max((value for value in wanted if value is not None), default=None)
    if config.precision is None:
        return None
    if calibrated is None:
        raise UsageError(
            f"precision: model={config.model} has no calibration of {config.score} with these constants; "
            "use the model that made the features, leave lam, tau and clip alone, or take score=verified"
        )
    return calibrated.threshold(config.precision).threshold


def build_score(config: SearchConfig, calibration: Calibration | None = None) -> Score:
    """The score of a configuration; for ``verified`` that of its candidates."""
    kind = config.normalize if config.background else "none"
    rule = normalization_of(kind, beta=config.beta, first=config.first, last=config.last)
    given: dict[str, Any] = {
        "lam": config.lam,
        "tau": config.tau,
        "clip": config.clip,
        "calibration": calibration,
    }
    try:
        return replace(score_of(mode_of(config), **given), normalization=rule)
    except AslError as error:
        raise UsageError(str(error)) from error
