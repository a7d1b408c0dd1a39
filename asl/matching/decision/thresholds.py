"""Probability thresholds for a requested precision, from the packaged model's calibration table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

from asl.types import UsageError

# Among the look-alikes that the verifier was measured on, 0.95 keeps three of four copies, 0.99 one
# of two.


def verifier_table() -> tuple[tuple[float, float], ...]:
    """Read (precision, threshold) of the packaged verifier, measured on held-out pairs.

    Returns:
        Rows in ascending precision; empty where the model carries no table.
    """
    # Imported here: `--help` of scan and serve shows the default precision and needs no OpenCV.
    from asl.matching.decision.trees import load_model

    return read_table(load_model().card.get("thresholds"))


def read_table(raw: Any) -> tuple[tuple[float, float], ...]:
    """Read the threshold table of a model card.

    Args:
        raw: rows with ``precision`` and ``threshold``, or pairs, or ``{precision: threshold}``.

    Returns:
        (precision, threshold) in ascending precision; empty for anything else.

    >>> read_table({0.9: 0.4, 0.5: 0.1})
    ((0.5, 0.1), (0.9, 0.4))
    """
    if isinstance(raw, Mapping):
        raw = list(raw.items())
    if not isinstance(raw, Sequence) or isinstance(raw, str):
        return ()
    rows = []
    for row in raw:
        precision, threshold = (
            (row.get("precision"), row.get("threshold")) if isinstance(row, Mapping) else row[:2]
        )
        if precision is not None and threshold is not None:
            rows.append((float(precision), float(threshold)))
    return tuple(sorted(rows))


def threshold_for(precision: float, table: Sequence[tuple[float, float]] | None = None) -> float:
    """Look up the probability above which accepted pairs reach a precision.

    Args:
        precision: requested share of right pairs, 0.5..1 (1 excluded).
        table: (precision, threshold) from held-out pairs; the packaged verifier's unless given. The
            row with the smallest sufficient precision counts. Without such a row the precision
            itself is the threshold: probabilities are calibrated, so that pairs above p are right
            more often than p.

    Returns:
        Threshold on the probability, 0..1.

    Raises:
        UsageError: ``precision`` outside 0.5..1.

    >>> threshold_for(0.9, [(0.5, 0.1), (0.95, 0.6)])
    0.6
    >>> threshold_for(0.99, [(0.5, 0.1), (0.95, 0.6)])
    0.99
    """
    if not (isinstance(precision, Real) and 0.5 <= precision < 1):
        raise UsageError(
            f"precision: expected a number from 0.5 to below 1, got {precision!r}; try 0.95"
        )
    rows = verifier_table() if table is None else table
    sufficient = [threshold for reached, threshold in sorted(rows) if reached >= precision - 1e-9]
    return sufficient[0] if sufficient else precision
