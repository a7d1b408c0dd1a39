"""Limits of a ranking: pairs per query, pairs over all queries, smallest score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from asl.types import I64, AslError, UsageError

SLACK = 8  # more candidates than are asked for, so that most lists are certified at once


@dataclass(frozen=True, eq=False)
class Limits:
    """The part of the ranking that is asked for.

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
        """Check the limits of a search.

        Args:
            k: references per query, one number or int64 ``[Q]``; None: no limit per query.
            most: pairs over all queries; None: no limit.
            above: smallest score; None: no limit.
            shape: (Q, R), the numbers of queries and of references.
            mode: of the score; ``paper`` needs ``k``.

        Raises:
            UsageError: a limit is out of range, or ``k`` is None without another limit.
            AslError: ``k`` has another shape than ``[Q]``.

        >>> Limits.of(5, None, 0.5, shape=(2, 3), mode="hinge").k.tolist()
        [3, 3]
        """
        if k is None and (mode == "paper" or (most is None and above is None)):
            raise UsageError(
                "k: k=null requires most= or above=, and is not supported with score=paper, "
                f"got most={most}, above={above}, score={mode}; give a number k"
            )
        if most is not None and most < 1:
            raise UsageError(f"most: must be 1 or more, got {most}; leave it out for no limit")
        if above is not None and not np.isfinite(above):
            raise UsageError(f"above: must be finite, got {above}; leave it out for no limit")
        each = np.asarray(shape[1] if k is None else k, dtype=np.int64)
        if each.ndim and each.shape != (shape[0],):
            raise AslError(
                f"k: must be one number or one per query ({shape[0]}), got shape {each.shape}; "
                "pass one of these"
            )
        if each.min() < 1:
            raise UsageError(f"k: must be 1 or more, got {each.min()}; give a larger number")
        smallest = -np.inf if above is None else float(above)
        return cls(np.minimum(np.broadcast_to(each, shape[:1]), shape[1]), most, smallest)

    def first_fetch(self) -> int:
        """Return the number of candidates per query of the first fetch.

        >>> Limits.of(10, None, None, shape=(2, 100), mode="hinge").first_fetch()
        18
        """
        count = int(self.k.max())
        if self.most is not None:
            count = min(count, 2 * self.most // len(self.k) + 1)
        elif np.isfinite(self.above):
            count = min(count, SLACK)
        return count + SLACK
