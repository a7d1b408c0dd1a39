"""Search a benchmark in every score mode, under one protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from asl.console.progress import progress_bar
from asl.counts import counted
from asl.index.engines.protocol import Engine
from asl.index.exact.region_search import search_regions
from asl.models.score_constants import find_calibrations, resolve_score
from asl.pipeline.inputs import SearchInput
from asl.scoring.normalization import ScoreNormalization
from asl.scoring.score import MODES, Score, admissible, usual_clip
from asl.shared_defaults import NEIGHBOURS
from asl.types import ScoredPairs, UsageError

# Log-norms from which the range of `soft` is taken: its quantiles need no more.
_RANGE_SAMPLE = 65_536


@dataclass(frozen=True)
class Protocol:
    """Length of the candidate lists that are evaluated: µAP depends on it.

    Attributes:
        k: references per query.
        most: best pairs over all queries instead (500,000 in the ISC 2021 challenge); None: ``k``
            per query.

    >>> print(Protocol(k=10))
    10 nearest of every query
    >>> print(Protocol(most=500_000))
    500,000 best pairs over all queries
    """

    k: int = NEIGHBOURS
    most: int | None = None

    def __post_init__(self) -> None:
        for key in ("k", "most"):
            value = getattr(self, key)
            if value is not None and value < 1:
                raise UsageError(f"{key}: must be 1 or more, got {value}")

    def __str__(self) -> str:
        if self.most is not None:
            return f"{counted(self.most, 'best pair')} over all queries"
        return f"{self.k} nearest of every query"


def every_mode(inputs: SearchInput, score: Score) -> dict[str, Score]:
    """Make one score of each mode with the constants of ``score``.

    ``soft`` clips log-norms to the range of ``score``, else to that of :func:`soft_range`.
    """
    clip = score.clip or soft_range(inputs)
    return {
        mode: replace(score, mode=mode, clip=clip if mode == "soft" else None)  # type: ignore[arg-type]
        for mode in MODES
    }


def model_modes(
    inputs: SearchInput,
    model: str | Path,
    model_hash: str,
    *,
    lam: float | None = None,
    tau: float | None = None,
) -> dict[str, Score]:
    """Make one score of each mode with the constants of a model.

    Args:
        inputs: from which ``soft`` takes its range where none was calibrated.
        model: name or path of the model, for its calibration.
        model_hash: of the features; empty where unknown.
        lam: weight of the log-norm difference; None: calibrated, else the default.
        tau: free log-norm difference; None: calibrated, else the default.
    """
    calibrations = find_calibrations(model, model_hash)
    scores = {mode: resolve_score(mode, calibrations, lam=lam, tau=tau) for mode in MODES}
    if scores["soft"].clip is None:
        scores["soft"] = replace(scores["soft"], clip=soft_range(inputs))
    return scores


def soft_range(inputs: SearchInput) -> tuple[float, float]:
    """Range of log-norms for ``soft``: the middle 98 % of a sample of background or references."""
    norms = (inputs.background or inputs.references).log_norms
    count = min(len(norms), _RANGE_SAMPLE)
    rows = np.linspace(0, len(norms) - 1, count).round().astype(np.int64)
    return usual_clip(norms[rows])


def with_normalization(
    scores: Mapping[str, Score], rule: ScoreNormalization | None
) -> dict[str, Score]:
    """Add every score with score normalisation, named ``<name>+SN`` (``paper+SN`` is ASL's row)."""
    if rule is None:
        return dict(scores)
    normalized = {
        f"{name}+SN": replace(score, normalization=rule) for name, score in scores.items()
    }
    return {**scores, **normalized}


def score_modes(
    inputs: SearchInput,
    scores: Mapping[str, Score],
    *,
    protocol: Protocol | None = None,
    engine: str | Engine = "auto",
) -> dict[str, ScoredPairs]:
    """Search references and their regions for every query, once a score.

    Args:
        inputs: of the benchmark.
        scores: name -> score.
        protocol: length of the lists; 10 references a query unless given.
        engine: name of an engine, or an engine; it holds the references through all searches.

    Returns:
        name -> pairs, in the order of the scores.
    """
    protocol = protocol or Protocol()
    return {
        name: _search_mode(inputs, score, protocol, engine, name=name)
        for name, score in scores.items()
    }


def _search_mode(
    inputs: SearchInput, score: Score, protocol: Protocol, engine: str | Engine, *, name: str
) -> ScoredPairs:
    # `paper` deletes pairs from a list that was fetched by the cosine. With a list over all queries
    # the deletion is done here: a search stops at k references a query only.
    capped_paper = score.mode == "paper" and protocol.most is not None
    with progress_bar(f"searching ({name})", unit="queries") as progress:
        pairs = search_regions(
            inputs.queries,
            inputs.references,
            reference_regions=inputs.reference_regions,
            score=replace(score, mode="cosine") if capped_paper else score,
            k=None if protocol.most is not None else protocol.k,
            most=protocol.most,
            background=inputs.background,
            engine=engine,
            progress=progress,
        )
    if not capped_paper:
        return pairs
    allowed = admissible(
        inputs.queries.log_norms[pairs.query_index],
        inputs.references.log_norms[pairs.reference_index],
        tau=score.tau,
    )
    return pairs.take(np.flatnonzero(allowed))
