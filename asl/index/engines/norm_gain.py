"""Gain of a pair: its score minus its cosine, from the log-norms of both sides.

With references sorted by falling log-norm, no gain rises with the reference's row, so that those of
the first and the last row of a group bound the gains of all between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from asl.index.engines.protocol import Engine
from asl.scoring.score import SAME_NORM, Score
from asl.types import F32, I64


@dataclass(frozen=True, eq=False)
class NormGain:
    """Gains between Q queries and R references.

    Attributes:
        score: ``strict``, ``soft`` or ``hinge``, without normalisation.
        query_norms: float32 ``[Q]`` log-norms.
        reference_norms: float32 ``[R]`` log-norms, falling.
        order: int64 ``[R]`` rows of the references in that order; None: they are in it.
    """

    score: Score
    query_norms: F32
    reference_norms: F32
    order: I64 | None

    def largest(self) -> float:
        """Return a bound on the magnitude of finite gains.

        >>> norms = np.float32([0.5]), np.float32([1.0, 0.0])
        >>> NormGain(Score("hinge", lam=0.5), *norms, None).largest()
        0.25
        """
        if self.score.mode == "strict":
            return 0.0
        queries, references = self.query_norms, self.reference_norms
        spread = max(queries.max() - references.min(), references.max() - queries.min())
        return self.score.lam * (abs(float(spread)) + abs(self.score.tau))

    def on_tensors(self) -> Any:
        """Return the gains as a function of int64 tensors of rows that broadcast.

        They are float64 and, up to its rounding, what
        :func:`asl.scoring.score.from_cosines` adds to a cosine.

        >>> import torch
        >>> norms = np.float32([0.5]), np.float32([1.0, 0.0])
        >>> gains = NormGain(Score("strict"), *norms, None).on_tensors()
        >>> gains(torch.tensor([0]), torch.tensor([0, 1])).tolist()
        [0.0, -inf]
        """
        import torch

        mode, tau = self.score.mode, self.score.tau
        lam = self.score.lam
        clip = self.score.clipped if mode == "soft" else np.asarray
        query_norms = torch.tensor(clip(self.query_norms), dtype=torch.float64)
        reference_norms = torch.tensor(clip(self.reference_norms), dtype=torch.float64)

        def gains(queries: Any, references: Any) -> Any:
            excess = query_norms[queries] - reference_norms[references]
            if mode == "soft":
                return excess.mul_(-lam)
            if mode == "hinge":
                return excess.sub_(tau).clamp_(min=0.0).mul_(-lam)
            return torch.where(excess <= tau + SAME_NORM, 0.0, -torch.inf).double()

        return gains


@runtime_checkable
class ScoringEngine(Engine, Protocol):
    """An engine that ranks by scores instead of inner products, in one pass."""

    def top_scores(
        self, queries: F32, references: F32, m: int, gain: NormGain
    ) -> tuple[F32, I64] | None:
        """Find the m references with the largest scores.

        Args:
            queries: float32 ``[Q, D]`` contiguous, unit rows.
            references: float32 ``[R, D]`` unit rows, R >= m >= 1; may be memory-mapped.
            m: list length.
            gain: what the score adds to a cosine; -inf leaves a pair out.

        Returns:
            float32 ``[Q, m]`` scores, descending, and int64 ``[Q, m]`` rows in the order of the
            gain; -inf and -1 where fewer are left. Errors are those of the inner products and of
            the rounding of scores. None where the search is better made by inner products.
        """
        ...
