"""How much of a ranking is wanted: per query, in all, and down to which score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from asl.types import I64, AslError, UsageError

SLACK = 8  # more than is wanted, so that most lists are certified at the first fetch


@dataclass(frozen=True, eq=False)
class Limits:
    """What is wanted of the ranking.

    Attributes:
        k: int64 ``[Q]`` references per query, at most R.
        most: pairs over all queries; None: no limit.
        above: smallest score; -inf: no limit.
    """

    k: I64
    most: int | None
    above: float

    @classmethod
    def of(
        cls,
        k: int | I64 | None,
        most: int | None,
        above: float | None,
        *,
        shape: tuple[int, int],
        mode: str,
    ) -> Limits:
        """Check the limits of a search; ``shape`` is (Q, R).

        Raises:
            AslError: one makes no sense.
        """
        if k is None and (mode == "paper" or (most is None and above is None)):
            raise UsageError("k: None needs most or above, and a score other than paper")
        if most is not None and most < 1:
            raise UsageError(f"most: must be 1 or more, got {most}")
        if above is not None and not np.isfinite(above):
            raise UsageError(f"above: must be finite, got {above}")
        each = np.asarray(shape[1] if k is None else k, dtype=np.int64)
        if each.ndim and each.shape != (shape[0],):
            raise AslError(f"k: expected one number or {shape[0]} of them, got shape {each.shape}")
        if each.min() < 1:
            raise UsageError(f"k: must be 1 or more, got {each.min()}")
        floor = -np.inf if above is None else float(above)
        return cls(np.minimum(np.broadcast_to(each, shape[:1]), shape[1]), most, floor)

    def first_fetch(self) -> int:
        """References per query of the first fetch."""
        wanted = int(self.k.max())
        if self.most is not None:
            wanted = min(wanted, 2 * self.most // len(self.k) + 1)
        elif np.isfinite(self.above):
            wanted = min(wanted, SLACK)
        return wanted + SLACK
