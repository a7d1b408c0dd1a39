"""From the precision that somebody asks for to the probability from which on a pair is accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from asl.types import UsageError

# Among the look-alikes that the verifier was measured on, 0.95 keeps three of four copies, 0.99 one
# of two.
DEFAULT_PRECISION = 0.95


def verifier_table() -> tuple[tuple[float, float], ...]:
    """(precision, threshold) of the packaged verifier, measured on held-out pairs; empty where it has none."""
    from asl.matching.decision.trees import (
        load_model,
    )  # `--help` of scan and serve shows the default, and needs no OpenCV

    return read_table(load_model().card.get("thresholds"))


def read_table(raw: Any) -> tuple[tuple[float, float], ...]:
    """A table of a model's card: rows with ``precision`` and ``threshold``, or pairs, or ``{precision: threshold}``."""
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
    """The probability from which on accepted pairs are right at least ``precision`` of the time.

    Args:
        precision: 0.5..1 (1 excluded).
        table: (precision, threshold) from held-out pairs; the packaged verifier's unless given. The
            row with the smallest precision that is high enough counts. Without such a row the
            probability itself is the
            threshold: it is calibrated, so that pairs above p are right more often than p.

    Raises:
        UsageError: no such precision.
    """
    if not 0.5 <= precision < 1:
        raise UsageError(f"precision: must be in 0.5..1 (1 excluded), got {precision}")
    rows = verifier_table() if table is None else table
    enough = [threshold for at, threshold in sorted(rows) if at >= precision - 1e-9]
    return enough[0] if enough else precision
