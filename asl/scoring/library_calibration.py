"""Recalibration of a probability on answers about pairs of one's own.

The packaged calibration says how often pairs of a probability are copies among the pairs that it
was measured on. Another collection has more look-alikes, or fewer. Answers about pairs of that
collection move the curve, by a Platt scaling of the log-odds (Platt, 1999) whose prior is the
packaged calibration: without answers nothing changes, few answers move little.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, log_expit, logit

from asl.types import F64, AslError, Bools

# Prior of the slope's logarithm and of the offset: one standard deviation lets the packaged odds
# be wrong by a factor of 2.7, and a probability of .99 be one of .94 or .9995.
SLOPE_SPREAD = 0.5
OFFSET_SPREAD = 1.0
INTERVAL = 0.9  # probability that the interval holds the value
_INTERVAL_DEVIATIONS = 1.6449  # standard deviations of a normal distribution on either side
_MOST_LOG_ODDS = 10.0  # a probability of 1 has infinite ones
_DRAWS = 2000


@dataclass(frozen=True)
class Interval:
    """An estimate and the interval that holds the true value with a probability of 0.9.

    Attributes:
        estimate: the most probable value.
        low: lower end.
        high: upper end.
    """

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class LibraryCalibration:
    """Calibration of one collection: log-odds ``slope · l + offset`` for packaged log-odds ``l``.

    Attributes:
        slope: above 0, so that a surer pair stays the surer one; 1 without answers.
        offset: 0 without answers.
        copies: number of answers that a pair is a copy.
        others: number of answers that a pair is not.
        covariance: of (ln slope, offset): two variances and what they share, as ``(slope, offset,
            both)``.
    """

    slope: float = 1.0
    offset: float = 0.0
    copies: int = 0
    others: int = 0
    covariance: tuple[float, float, float] = (SLOPE_SPREAD**2, OFFSET_SPREAD**2, 0.0)

    @property
    def answers(self) -> int:
        """Number of answers that it was fitted on."""
        return self.copies + self.others

    def probability(self, packaged: npt.ArrayLike) -> F64:
        """Convert packaged probabilities to those of this collection.

        Args:
            packaged: 0..1, any shape. Exactly 1 (identical content) stays 1.

        Returns:
            float64 0..1 of the same shape, in the same order.

        >>> LibraryCalibration(1.0, -1.0).probability([0.5, 0.9, 1.0]).round(3).tolist()
        [0.269, 0.768, 1.0]
        """
        values = np.asarray(packaged, dtype=np.float64)
        if not self.answers and (self.slope, self.offset) == (1.0, 0.0):
            return values
        moved = expit(self.slope * _log_odds(values) + self.offset)
        return np.where(values >= 1.0, 1.0, moved)

    def packaged(self, probability: float) -> float:
        """Return the packaged probability of pairs that have this one here, 0..1.

        >>> round(LibraryCalibration(1.0, -1.0, others=10).packaged(0.269), 2)
        0.5
        """
        odds = float(_log_odds(np.float64(probability)))
        return float(expit((odds - self.offset) / self.slope))

    def interval(self, packaged: float) -> Interval:
        """Return the probability of a pair with its interval.

        Args:
            packaged: probability of the packaged calibration, 0..1.
        """
        if packaged >= 1.0:
            return Interval(1.0, 1.0, 1.0)
        odds = float(_log_odds(np.float64(packaged)))
        centre = self.slope * odds + self.offset
        slope, offset, both = self.covariance
        toward = self.slope * odds  # derivative by ln slope
        spread = math.sqrt(max(0.0, toward**2 * slope + 2 * toward * both + offset))
        ends = centre + _INTERVAL_DEVIATIONS * spread * np.array([0.0, -1.0, 1.0])
        return Interval(*(float(value) for value in expit(ends)))

    def precision(self, packaged: npt.ArrayLike) -> Interval:
        """Estimate the share of copies among pairs, with its interval.

        Args:
            packaged: ``[P]`` packaged probabilities, at least one.
        """
        values = np.asarray(packaged, dtype=np.float64)
        slope, offset, both = self.covariance
        matrix = np.array([[slope, both], [both, offset]])
        centre = np.array([math.log(self.slope), self.offset])
        rng = np.random.default_rng(0)  # the same answers give the same interval
        drawn = rng.multivariate_normal(centre, matrix, size=_DRAWS, method="eigh")
        odds = _log_odds(values)
        shares = [
            float(np.where(values >= 1.0, 1.0, expit(math.exp(a) * odds + b)).mean())
            for a, b in drawn
        ]
        low, high = np.quantile(shares, [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2])
        return Interval(float(self.probability(values).mean()), float(low), float(high))

    def to_plain(self) -> dict[str, Any]:
        """Convert to plain values for JSON."""
        return {**asdict(self), "covariance": list(self.covariance)}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> LibraryCalibration:
        """Read the values that :meth:`to_plain` wrote.

        Raises:
            AslError: they are something else.
        """
        try:
            slope, offset, both = (float(value) for value in plain["covariance"])
            found = cls(
                float(plain["slope"]),
                float(plain["offset"]),
                int(plain["copies"]),
                int(plain["others"]),
                (slope, offset, both),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise AslError(f"calibration: cannot be read ({error}); answer again") from error
        if not found._is_possible():
            raise AslError("calibration: one of its numbers is out of range; answer again")
        return found

    def _is_possible(self) -> bool:
        """Check that a fit could have these numbers."""
        slope, offset, both = self.covariance
        numbers = (self.slope, self.offset, slope, offset, both)
        return (
            all(map(math.isfinite, numbers))
            and self.slope > 0
            and min(slope, offset, self.copies, self.others) >= 0
            and both**2 <= slope * offset * (1 + 1e-9)
        )


def recalibrate(packaged: npt.ArrayLike, is_copy: npt.ArrayLike) -> LibraryCalibration:
    """Fit the calibration of a collection to answers about some of its pairs.

    The pairs must have been chosen by their probability alone. Answers given only where a mistake
    was seen say nothing of the others, and would make every pair look worse than it is.

    Args:
        packaged: ``[A]`` probabilities of the packaged calibration, 0..1.
        is_copy: bool ``[A]``, True where the answer is that one image was made from the other.

    Returns:
        The most probable slope and offset under the prior (maximum a posteriori), and their
        covariance (Laplace approximation).

    Raises:
        AslError: the lengths differ, or a probability is outside 0..1.

    >>> recalibrate([], []) == LibraryCalibration()
    True
    >>> recalibrate([0.7] * 20, [False] * 20).probability(0.7) < 0.3
    np.True_
    """
    values, copies = np.asarray(packaged, np.float64), np.asarray(is_copy, np.bool_)
    if values.ndim != 1 or values.shape != copies.shape:
        raise AslError(
            f"recalibrate: needs one answer per pair, got {values.shape} probabilities and "
            f"{copies.shape} answers; pass two lists of one length"
        )
    if not np.all((values >= 0) & (values <= 1)):
        raise AslError("recalibrate: probabilities must be in 0..1")
    if not len(values):
        return LibraryCalibration()
    odds = _log_odds(values)
    from scipy.optimize import minimize  # half a second to import, for fits alone

    fitted = minimize(_loss, np.zeros(2), args=(odds, copies), jac=True, method="BFGS")
    log_slope, offset = (float(value) for value in fitted.x)
    slope = math.exp(log_slope)
    covariance = np.linalg.inv(_curvature(slope, offset, odds))
    return LibraryCalibration(
        slope,
        offset,
        int(copies.sum()),
        int((~copies).sum()),
        (float(covariance[0, 0]), float(covariance[1, 1]), float(covariance[0, 1])),
    )


def _log_odds(values: F64 | np.float64) -> F64:
    return np.asarray(np.clip(logit(values), -_MOST_LOG_ODDS, _MOST_LOG_ODDS))


def _loss(weights: F64, odds: F64, copies: Bools) -> tuple[float, F64]:
    """Negative log-posterior of (ln slope, offset) and its gradient."""
    slope, offset = math.exp(float(np.clip(weights[0], -5, 5))), float(weights[1])
    moved = slope * odds + offset
    likelihood = np.where(copies, log_expit(moved), log_expit(-moved)).sum()
    scaled = weights / np.array([SLOPE_SPREAD, OFFSET_SPREAD])
    error = expit(moved) - copies
    gradient = np.array([(error * slope * odds).sum(), error.sum()])
    prior = weights / np.array([SLOPE_SPREAD**2, OFFSET_SPREAD**2])
    return float(0.5 * (scaled @ scaled) - likelihood), gradient + prior


def _curvature(slope: float, offset: float, odds: F64) -> F64:
    """Expected second derivatives of the loss (Fisher information), ``[2, 2]``, and the prior's."""
    share = expit(slope * odds + offset)
    weight = share * (1 - share)
    toward = np.stack([slope * odds, np.ones_like(odds)])
    prior = np.diag([SLOPE_SPREAD**-2, OFFSET_SPREAD**-2])
    return np.asarray((toward * weight) @ toward.T + prior)
