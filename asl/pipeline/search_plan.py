"""One resolved plan of a search: its configuration is read and checked here, once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from asl.console.schemas.search_config import SearchConfig
from asl.features.embed_options import EmbedOptions
from asl.index.engines.by_name import make_engine
from asl.index.engines.faiss_factory import FaissFactoryIndex
from asl.index.engines.protocol import Engine
from asl.index.exact.limits import Limits
from asl.index.milvus.address import is_served
from asl.index.saved_index import SavedIndex
from asl.matching import Budget
from asl.matching.decision.thresholds import threshold_for
from asl.models.score_constants import find_calibrations, resolve_score
from asl.pipeline.input_loader import InputLoader, InputSources
from asl.pipeline.key_checks import (
    check_background_size,
    check_background_use,
    check_least,
    refuse_normalization,
    refuse_other_constants,
    refuse_unused,
    score_normalization,
)
from asl.pipeline.verification import VerificationPlan
from asl.scoring.calibration import Calibration
from asl.scoring.score import Score, usual_clip
from asl.types import F32, AslError, UsageError

_LEAST_MEMORY = 0.001  # GiB: blocks of a few rows would take hours
_VERIFIED_KEYS = (
    "candidate_score",
    "local_candidates",
    "pairs",
    "seconds",
    "query_images",
    "reference_images",
    "local_index",
)
# Keys that need all references in this process.
_NOT_SERVED = (
    "regions",
    "query_regions",
    "whiten",
    "negatives",
    "factory",
    "engine",
    "clip",
)


@dataclass(frozen=True)
class SearchLimits:
    """Length of the result.

    Attributes:
        k: references per query; None: as many as the others allow.
        most: best pairs over all queries; None: all.
        above: lowest score; None: all.
        memory: GiB that the search may use beside the embeddings.
    """

    k: int | None
    most: int | None
    above: float | None
    memory: float


@dataclass(frozen=True, eq=False)
class SearchPlan:
    """Everything that a search does, resolved and checked.

    Attributes:
        kind: score that is written: a score mode or ``verified``.
        score: ranks the pairs, with normalisation; that of the candidates where they are verified.
        limits: length of the result.
        engine: inner-product search; unused where a server holds the references.
        nprobe: lists that a query visits in a Milvus collection.
        recall_queries: queries on which an approximate search is measured; 0: none.
        whiten: dimensions to whiten to; 0: no whitening.
        negatives: weight of negative embedding subtraction; 0: none.
        verification: second stage; None: the scores are written as they are.
        calibration: turns the written scores into probabilities; None: not calibrated for them.
        least: lowest score that is written, by ``precision`` or ``above``; None: all.
        served: ``milvus+ADDRESS`` of the references; None: they are opened here.
        inputs: opens queries, references and background.
        output: file of the pairs.
    """

    kind: str
    score: Score
    limits: SearchLimits
    engine: Engine
    nprobe: int
    recall_queries: int
    whiten: int
    negatives: float
    verification: VerificationPlan | None
    calibration: Calibration | None
    least: float | None
    served: str | None
    inputs: InputLoader
    output: Path

    def score_for(self, reference_log_norms: F32) -> Score:
        """Return the score; ``soft`` without a range takes the middle 98 % of these log-norms."""
        if self.score.mode == "soft" and self.score.clip is None:
            return replace(self.score, clip=usual_clip(reference_log_norms))
        return self.score


def plan_search(config: SearchConfig) -> SearchPlan:
    """Read, check and resolve the configuration of a search; nothing is embedded.

    Raises:
        UsageError: a key, a value or a path is wrong, or a key would have no effect.
        AslError: the inputs were embedded by different models.
    """
    _check_values(config)
    uncalibrated = _resolved(config, {})[1]
    _check_effects(config)
    verification = _verification(config) if config.score == "verified" else None
    engine = _engine(config)
    loader = InputLoader(_sources(config))
    if verification and not loader.has_images:
        raise UsageError(
            "score=verified: compares images, and there are only features; "
            "give query_images= and reference_images= beside the stores"
        )
    if verification and verification.local_candidates and is_served(config.references):
        _check_local_index(loader)
    if loader.background_size is not None:
        count, dim = loader.background_size
        check_background_size(count, dim, whiten=config.whiten, rule=uncalibrated.normalization)
    calibrations = find_calibrations(config.model, loader.model)
    calibration, score = _resolved(config, calibrations)
    _check_reachable(config, score)
    return SearchPlan(
        kind=config.score,
        score=score,
        limits=SearchLimits(config.k, config.most, config.above, config.memory),
        engine=engine,
        nprobe=config.nprobe,
        recall_queries=config.recall_queries,
        whiten=config.whiten,
        negatives=config.negatives,
        verification=verification,
        calibration=calibration,
        least=_least_score(config, calibration),
        served=config.references if is_served(config.references) else None,
        inputs=loader,
        output=Path(config.output),
    )


def _mode(config: SearchConfig) -> str:
    """Score mode of the search, for ``verified`` that of its candidates."""
    return config.candidate_score if config.score == "verified" else config.score


def _check_values(config: SearchConfig) -> None:
    if Path(config.output).suffix not in (".csv", ".parquet"):
        raise UsageError(
            f"output: expected a name that ends in .csv or .parquet, got {config.output}"
        )
    if config.precision is not None and not 0 < config.precision <= 1:
        raise UsageError(f"precision: must be in 0..1, got {config.precision}")
    at_least_one = {"nprobe": 1, "most": 1, "batch_size": 1}
    at_least_zero = {"recall_queries": 0, "local_candidates": 0, "whiten": 0, "negatives": 0}
    check_least(config, at_least_one | at_least_zero | {"pairs": 0, "seconds": 0, "workers": 0})
    if config.memory < _LEAST_MEMORY:
        raise UsageError(f"memory: must be {_LEAST_MEMORY} GiB or more, got {config.memory:g}")
    if config.score != "verified":
        Limits.of(config.k, config.most, config.above, shape=(1, 1), mode=config.score)
    elif config.k is None:
        raise UsageError(
            "k: score=verified compares the k best references of every query, got null; "
            "give a number (beside most=, above=)"
        )
    else:
        check_least(config, {"k": 1})


def _check_reachable(config: SearchConfig, score: Score) -> None:
    """Refuse a lowest score that no pair can have: the list would always be empty."""
    largest = 1.0 if config.score == "verified" else score.largest()
    if config.above is not None and not config.above <= largest:
        what = "a probability" if config.score == "verified" else f"a score of {score.mode}"
        raise UsageError(
            f"above: {what} is at most {largest:g}, so above={config.above:g} keeps no pair; give "
            "a lower one, or leave it out"
        )


def _check_effects(config: SearchConfig) -> None:
    """Refuse keys that this search would not read."""
    served = is_served(config.references)
    if served:
        _check_served(config)
    if config.score != "verified":
        refuse_unused(config, _VERIFIED_KEYS, reason=f"with score={config.score}")
    refuse_other_constants(config, _mode(config))
    refuse_normalization(config)
    check_background_use(config)
    if config.factory is None and not served:
        refuse_unused(config, ("nprobe", "recall_queries"), reason="in an exact search")
    if config.factory is not None:
        refuse_unused(config, ("engine",), reason="with factory=, which is an engine of its own")


def _check_served(config: SearchConfig) -> None:
    refuse_unused(config, _NOT_SERVED, reason="with references in Milvus")
    if config.score != "verified":
        refuse_unused(config, ("most",), reason="with references in Milvus")
    if config.k is None:
        raise UsageError(
            "k: a collection in Milvus is searched for a number of references per query, got "
            "null; give one, or use an index of asl.extract"
        )


def _check_local_index(loader: InputLoader) -> None:
    """Refuse local candidates of references on a server, beside which there is no file."""
    if loader.local_index is None:
        raise UsageError(
            "local_index: references on a server have no folder to keep their local features in, "
            "got null; name one (the first search fills it), or give local_candidates=0"
        )


def _resolved(
    config: SearchConfig, calibrations: Mapping[str, Calibration]
) -> tuple[Calibration | None, Score]:
    """Resolve the score, and the calibration that gives its probability, if there is one."""
    mode = _mode(config)
    rule = score_normalization(config)
    try:
        plain = resolve_score(mode, calibrations, lam=config.lam, tau=config.tau, clip=config.clip)
    except AslError as error:
        raise UsageError(str(error)) from error
    score = replace(plain, normalization=rule)
    own = calibrations.get(mode)
    # The best of regions, or of changed embeddings, is another score than was calibrated; that of
    # pixels is a probability already.
    changed = (
        config.regions != "none"
        or config.query_regions != "none"
        or config.whiten
        or config.negatives
        or config.score == "verified"
    )
    return (own if own and not changed and own.score == score else None), score


def _least_score(config: SearchConfig, calibration: Calibration | None) -> float | None:
    """Lowest score to write, by ``precision`` and, where it is a probability, by ``above``."""
    if config.score == "verified":
        by_precision = None if config.precision is None else threshold_for(config.precision)
        return max(
            (value for value in (config.above, by_precision) if value is not None), default=None
        )
    if config.precision is None:
        return None
    if calibration is None:
        raise UsageError(
            f"precision: model={config.model} has no calibration of {config.score} with these "
            "settings; use the model that made the features, leave lam, tau, clip, regions and the "
            "background out, or use score=verified"
        )
    return calibration.threshold(config.precision).threshold


def _verification(config: SearchConfig) -> VerificationPlan:
    if config.precision is not None:
        threshold_for(config.precision)
    budget = Budget(config.pairs, config.seconds)
    return VerificationPlan(config.local_candidates, budget, config.workers)


def _engine(config: SearchConfig) -> Engine:
    if config.factory is None:
        return make_engine(config.engine)
    whole = SavedIndex.is_index(config.references) and not (config.whiten or config.negatives)
    cache = SavedIndex.open(config.references).companion(config.factory) if whole else None
    return FaissFactoryIndex(
        config.factory, nprobe=config.nprobe, cache=cache, check_files=config.check_files
    )


def _sources(config: SearchConfig) -> InputSources:
    return InputSources(
        queries=config.queries,
        references=config.references,
        background=config.background,
        query_images=config.query_images,
        reference_images=config.reference_images,
        local_index=config.local_index,
        query_regions=config.query_regions,
        reference_regions=config.regions,
        model=config.model,
        features=Path(f"{config.output}.features"),
        id_style=config.id_style,
        options=EmbedOptions(
            batch_size=config.batch_size, workers=config.workers, device=config.device
        ),
        check_files=config.check_files,
    )
