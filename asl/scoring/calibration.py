"""Calibration of a score: probability of a copy, and the threshold that gives a precision.

Fitted once per model and score on queries that neither trained the model nor are reported on, and
stored in the model's card, so that a user can ask for a precision instead of guessing a cosine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from asl.scoring.score import Score
from asl.types import F64, I64, AslError, Bools

PRECISIONS = (0.5, 0.8, 0.9, 0.95, 0.99)


@dataclass(frozen=True)
class Threshold:
    """Result of accepting pairs from one score on, on the calibration queries; rates are 0..1.

    Attributes:
        precision: precision that was asked for; the share of accepted pairs that are true copies is
            at least this.
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
    """Meaning of one score of one model.

    Attributes:
        score: mode and constants that the calibration was fitted with.
        slope: slope of the logistic curve, 0 or more: a higher score is never less sure.
        offset: offset of the logistic curve.
        thresholds: thresholds by precision, ascending; precisions that were never reached are left
            out.
    """

    score: Score
    slope: float
    offset: float
    thresholds: tuple[Threshold, ...]

    def probability(self, scores: npt.ArrayLike) -> F64:
        """Convert scores to the probability that the query is a copy of the reference.

        Args:
            scores: scores of any shape, query -> reference.

        Returns:
            float64 0..1 of the same shape, among pairs like those of the calibration.

        >>> calibration = Calibration(Score("cosine"), slope=10.0, offset=-5.0, thresholds=())
        >>> calibration.probability([0.0, 0.5, 1.0]).round(3).tolist()
        [0.007, 0.5, 0.993]
        """
        from scipy.special import expit

        result: F64 = expit(self.slope * np.asarray(scores, dtype=np.float64) + self.offset)
        return result

    def threshold(self, precision: float) -> Threshold:
        """Return the row with the smallest precision that is at least ``precision``.

        Raises:
            AslError: the calibration never reached that precision.

        >>> rows = (Threshold(0.9, 0.61, 0.7, None),)
        >>> Calibration(Score("cosine"), 10.0, -5.0, rows).threshold(0.8).threshold
        0.61
        """
        for row in self.thresholds:
            if row.precision >= precision:
                return row
        highest = (
            f"the highest was {self.thresholds[-1].precision:g}"
            if self.thresholds
            else "no precision was"
        )
        raise AslError(
            f"precision: {precision:g} was not reached by {self.score.mode} in this model's "
            f"calibration ({highest}); ask for less, or use score=verified, which reaches more"
        )

    def to_card(self) -> dict[str, Any]:
        """Convert to plain values for a model card."""
        plain = asdict(self)
        plain["score"] = {name: plain["score"][name] for name in ("mode", "lam", "tau", "clip")}
        plain["thresholds"] = list(plain["thresholds"])
        return plain

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> Calibration:
        """Read the values that :meth:`to_card` wrote.

        Raises:
            AslError: the card holds something else.

        >>> fitted = Calibration(Score("hinge"), 10.0, -5.0, ())
        >>> Calibration.from_card(fitted.to_card()) == fitted
        True
        """
        try:
            rows = tuple(Threshold(**row) for row in card["thresholds"])
            return cls(Score(**card["score"]), float(card["slope"]), float(card["offset"]), rows)
        except (KeyError, TypeError, ValueError) as error:
            raise AslError(
                f"calibration: the model card cannot be read ({type(error).__name__}: {error}); "
                "calibrate the model again"
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

    The curve is fitted on each query's best pair, the one that a user decides about (Platt, 1999,
    with his smoothed targets, so that separable scores give no infinite slope).

    Args:
        score: mode and constants of the scores.
        scores: ``[P]`` scores of retrieved pairs, query -> reference.
        correct: bool ``[P]``, True where the pair is a true copy.
        query: int ``[P]``, number of each pair's query.
        true_pairs: number of all true pairs, retrieved or not.
        hard_queries: numbers (as in ``query``) of hard-negative queries.
        precisions: precisions to find thresholds for.

    Raises:
        AslError: there are no pairs, the lengths differ, or all pairs are true or all false.

    >>> fitted = calibrate(
    ...     Score("cosine"), [0.9, 0.8, 0.3], [True, True, False], query=[0, 1, 2], true_pairs=2
    ... )
    >>> row = fitted.threshold(0.9)
    >>> row.threshold, row.recall
    (0.8, 1.0)
    """
    values = np.asarray(scores, dtype=np.float64)
    is_true = np.asarray(correct, dtype=np.bool_)
    queries = np.asarray(query, dtype=np.int64)
    if not len(values) or values.shape != is_true.shape or values.shape != queries.shape:
        raise AslError(
            "calibrate: needs pairs, with one score, label and query each, "
            f"got {values.shape} scores, {is_true.shape} labels, {queries.shape} queries; "
            "pass three lists of one length"
        )
    if is_true.all() or not is_true.any():
        raise AslError(
            "calibrate: needs true and false pairs, "
            f"got {int(is_true.sum())} true of {len(is_true)}; retrieve more pairs per query"
        )
    # Ties count against the score: the false pair of a tie comes first.
    order = np.lexsort((is_true, -values, queries))
    best = order[np.unique(queries[order], return_index=True)[1]]
    slope, offset = _logistic(values[best], is_true[best])
    hard = np.asarray(list(hard_queries), dtype=np.int64)
    rows = _thresholds(values, is_true, queries, true_pairs, hard, precisions)
    return Calibration(score, slope, offset, rows)


def _logistic(values: F64, is_true: Bools) -> tuple[float, float]:
    # Half a second to import, for fits alone.
    from scipy.optimize import minimize
    from scipy.special import expit

    positives, negatives = int(is_true.sum()), int((~is_true).sum())
    target = np.where(is_true, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    centre, spread = float(values.mean()), float(values.std()) or 1.0
    z = (values - centre) / spread

    def loss(w: F64) -> tuple[float, F64]:
        logit = w[0] * z + w[1]
        error = expit(logit) - target
        value = float((np.logaddexp(0.0, logit) - target * logit).mean())
        return value, np.array([(error * z).mean(), error.mean()])

    start = np.array([1.0, 0.0])
    bounds = [(0.0, None), (None, None)]
    fitted = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B")
    slope, offset = (float(w) for w in fitted.x)
    return slope / spread, offset - slope * centre / spread


def _thresholds(
    values: F64,
    is_true: Bools,
    queries: I64,
    true_pairs: int,
    hard: I64,
    precisions: Sequence[float],
) -> tuple[Threshold, ...]:
    order = np.argsort(-values, kind="stable")
    descending, hits = values[order], np.cumsum(is_true[order])
    # A threshold accepts all of a tie or none.
    ends = np.flatnonzero(np.r_[descending[1:] != descending[:-1], True])
    precision, recall = hits[ends] / (ends + 1), hits[ends] / true_pairs
    # A hard query is matched by every threshold up to its best score.
    hard_best = np.array(
        [values[queries == number].max(initial=-np.inf) for number in hard.tolist()]
    )
    rows = []
    for target in sorted(precisions):
        reached = np.flatnonzero(precision >= target)
        if len(reached):
            last = reached[-1]
            threshold = float(descending[ends[last]])
            rate = float(np.mean(hard_best >= threshold)) if len(hard_best) else None
            rows.append(Threshold(target, threshold, float(recall[last]), rate))
    return tuple(rows)
