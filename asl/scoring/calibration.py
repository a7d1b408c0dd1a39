"""What a score means: the probability of a copy, and the threshold that gives a precision.

Fitted once per model and score on queries that neither trained the model nor are reported on, and
stored in the model's card, so that a user can ask for a precision instead of guessing a cosine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit

from asl.scoring.score import Score
from asl.types import AslError

_F64 = npt.NDArray[np.float64]
_Bool = npt.NDArray[np.bool_]
PRECISIONS = (0.5, 0.8, 0.9, 0.95, 0.99)


@dataclass(frozen=True)
class Threshold:
    """What accepting pairs from a score on gave, on the calibration queries.

    Attributes:
        precision: share of the accepted pairs that are right, at least; what was asked for.
        threshold: lowest score that is accepted.
        recall: share of all true pairs that are accepted.
        hard_false_match_rate: share of the hard-negative queries that match something; None where
            there were none.
    """

    precision: float
    threshold: float
    recall: float
    hard_false_match_rate: float | None


@dataclass(frozen=True)
class Calibration:
    """How to read one score of one model.

    Attributes:
        score: mode and constants that it was fitted with.
        slope: of the logistic curve, not negative: a higher score is never less sure.
        offset: of the logistic curve.
        thresholds: by precision, ascending; precisions that were never reached are not there.
    """

    score: Score
    slope: float
    offset: float
    thresholds: tuple[Threshold, ...]

    def probability(self, scores: npt.ArrayLike) -> _F64:
        """P(the query is a copy of the reference) in 0..1 for scores of any shape, among pairs as calibrated on."""
        result: _F64 = expit(self.slope * np.asarray(scores, dtype=np.float64) + self.offset)
        return result

    def threshold(self, precision: float) -> Threshold:
        """The row with the smallest precision that is at least ``precision``.

        Raises:
            AslError: that precision was not reached in the calibration; the highest one that was is
                named.
        """
        for row in self.thresholds:
            if row.precision >= precision:
                return row
        best = (
            f"the highest was {self.thresholds[-1].precision:g}" if self.thresholds else "none was"
        )
        raise AslError(
            f"precision: {precision:g} was not reached by {self.score.mode} in this model's calibration ({best}); "
            "score=verified reaches more"
        )

    def to_card(self) -> dict[str, Any]:
        """Plain values for a model card."""
        plain = asdict(self)
        plain["score"] = {name: plain["score"][name] for name in ("mode", "lam", "tau", "clip")}
        plain["thresholds"] = list(plain["thresholds"])
        return plain

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> Calibration:
        """Read what :meth:`to_card` wrote.

        Raises:
            AslError: it is something else.
        """
        try:
            rows = tuple(Threshold(**row) for row in card["thresholds"])
            return cls(Score(**card["score"]), float(card["slope"]), float(card["offset"]), rows)
        except (KeyError, TypeError, ValueError) as error:
            raise AslError(
                f"calibration: the card cannot be read ({type(error).__name__}: {error})"
            ) from error


def calibrate(
    score: Score,
    scores: npt.ArrayLike,
    correct: npt.ArrayLike,
    *,
    query: npt.ArrayLike,
    true_pairs: int,
    hard_queries: Sequence[int] = (),
    precisions: Sequence[float] = PRECISIONS,
) -> Calibration:
    """Fit the logistic curve and the thresholds of a score.

    The curve is fitted on each query's best pair, which is what somebody decides about (Platt,
    1999, with his smoothed targets, so that separable scores give no infinite slope).

    Args:
        score: what the scores are.
        scores: ``[P]`` scores of retrieved pairs.
        correct: bool ``[P]``, whether the pair is a true copy.
        query: int ``[P]``, which query a pair is of.
        true_pairs: all true pairs, retrieved or not.
        hard_queries: numbers (as in ``query``) of hard-negative queries.
        precisions: to look for.

    Raises:
        AslError: no pairs, lengths that differ, or only true or only false pairs.
    """
    values, right = np.asarray(scores, dtype=np.float64), np.asarray(correct, dtype=np.bool_)
    of = np.asarray(query, dtype=np.int64)
    if not len(values) or values.shape != right.shape or values.shape != of.shape:
        raise AslError(
            f"calibrate: needs pairs, got {values.shape} scores, {right.shape} labels, {of.shape} queries"
        )
    if right.all() or not right.any():
        raise AslError("calibrate: needs true and false pairs")
    order = np.lexsort((right, -values, of))  # ties against us: the false pair of a tie comes first
    best = order[np.unique(of[order], return_index=True)[1]]
    slope, offset = _logistic(values[best], right[best])
    rows = _thresholds(
        values, right, of, true_pairs, np.asarray(list(hard_queries), dtype=np.int64), precisions
    )
    return Calibration(score, slope, offset, rows)


def _logistic(values: _F64, right: _Bool) -> tuple[float, float]:
    positives, negatives = int(right.sum()), int((~right).sum())
    target = np.where(right, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    centre, spread = float(values.mean()), float(values.std()) or 1.0
    z = (values - centre) / spread

    def loss(w: _F64) -> tuple[float, _F64]:
        logit = w[0] * z + w[1]
        error = expit(logit) - target
        value = float((np.logaddexp(0.0, logit) - target * logit).mean())
        return value, np.array([(error * z).mean(), error.mean()])

    found = minimize(
        loss, np.array([1.0, 0.0]), jac=True, bounds=[(0.0, None), (None, None)], method="L-BFGS-B"
    )
    slope, offset = (float(w) for w in found.x)
    return slope / spread, offset - slope * centre / spread


def _thresholds(
    values: _F64,
    right: _Bool,
    of: npt.NDArray[np.int64],
    true_pairs: int,
    hard: npt.NDArray[np.int64],
    precisions: Sequence[float],
) -> tuple[Threshold, ...]:
    order = np.argsort(-values, kind="stable")
    descending, hits = values[order], np.cumsum(right[order])
    ends = np.flatnonzero(
        np.r_[descending[1:] != descending[:-1], True]
    )  # a threshold takes all of a tie or none
    precision, recall = hits[ends] / (ends + 1), hits[ends] / true_pairs
    # Each hard query is matched from its best score on.
    hardest = [values[of == number].max(initial=-np.inf) for number in hard.tolist()]
    rows = []
    for wanted in sorted(precisions):
        reached = np.flatnonzero(precision >= wanted)
        if len(reached):
            at = reached[-1]
            threshold = float(descending[ends[at]])
            rate = float(np.mean(np.array(hardest) >= threshold)) if hardest else None
            rows.append(Threshold(wanted, threshold, float(recall[at]), rate))
    return tuple(rows)
