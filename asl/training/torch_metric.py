"""The evaluator as a torchmetrics metric, for training loops other than this package's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from asl.metrics.evaluation import evaluate
from asl.types import AslError, ScoredPairs, TruthPairs, as_ids

VALUES = (
    "uap",
    "recall_at_p90",
    "recall_at_1",
    "recall_at_10",
    "accuracy_at_1",
    "mean_ap",
)


class CopyDetectionMetric(Metric):
    """Evaluate scored pairs of all batches and processes in one ranking; see :func:`evaluate`.

    A pair that several processes report with one score counts once: distributed samplers repeat
    queries to fill their last batch.

    >>> truth = TruthPairs.from_pairs([("crop", "photo")], other_queries=["noise"])
    >>> metric = CopyDetectionMetric(truth, queries=["crop", "noise"], references=["photo"])
    >>> metric.update(torch.tensor([0, 1]), torch.tensor([0, 0]), torch.tensor([0.9, 0.3]))
    >>> float(metric.compute()["uap"])
    1.0
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    query_index: list[Tensor]
    reference_index: list[Tensor]
    scores: list[Tensor]

    def __init__(
        self, truth: TruthPairs, *, queries: Sequence[str], references: Sequence[str], **kwargs: Any
    ) -> None:
        """Set the truth and the ids that indices mean.

        Args:
            truth: true pairs and all queries.
            queries: id of each query, in the order of its index.
            references: id of each reference, in the order of its index.
            kwargs: of :class:`torchmetrics.Metric`.
        """
        super().__init__(**kwargs)
        self._truth = truth
        self._queries = as_ids(queries, name="queries")
        self._references = as_ids(references, name="references")
        for name in ("query_index", "reference_index", "scores"):
            self.add_state(name, default=[], dist_reduce_fx="cat")

    def update(self, queries: Tensor, references: Tensor, scores: Tensor) -> None:
        """Add scored pairs, query -> reference.

        Args:
            queries: int64 ``[P]`` indices into the query ids.
            references: int64 ``[P]`` indices into the reference ids.
            scores: ``[P]``; higher is more certain.

        Raises:
            AslError: the shapes differ, or an index is outside the ids.
        """
        if queries.ndim != 1 or not queries.shape == references.shape == scores.shape:
            raise AslError(
                "metric: expected three vectors of one length, got shapes "
                f"{tuple(queries.shape)}, {tuple(references.shape)} and {tuple(scores.shape)}"
            )
        for name, index, ids in (
            ("queries", queries, self._queries),
            ("references", references, self._references),
        ):
            if len(index) and not 0 <= int(index.min()) <= int(index.max()) < len(ids):
                raise AslError(
                    f"metric: {name} must be indices in 0..{len(ids) - 1}, got "
                    f"{int(index.min())}..{int(index.max())}"
                )
        self.query_index.append(queries.detach().long())
        self.reference_index.append(references.detach().long())
        self.scores.append(scores.detach().float())

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """Join the states of all processes, also of one that has no pair."""
        for part, dtype in (
            (self.query_index, torch.int64),
            (self.reference_index, torch.int64),
            (self.scores, torch.float32),
        ):
            if not part:  # torchmetrics would send floats for it
                part.append(torch.zeros(0, dtype=dtype, device=self.device))
        super().sync(*args, **kwargs)

    def compute(self) -> dict[str, Tensor]:
        """Return µAP, recall at 90 % precision and recalls, 0-d float32 each.

        Raises:
            AslError: there is no true pair, a score is not finite, or a pair has several scores.
        """
        result = evaluate(self._pairs(), self._truth)
        return {
            name: torch.tensor(float(getattr(result, name)), device=self.device) for name in VALUES
        }

    def _pairs(self) -> ScoredPairs:
        parts = (self.query_index, self.reference_index, self.scores)
        queries, references, scores = (
            dim_zero_cat(part).cpu().numpy() if len(part) else np.empty(0) for part in parts
        )
        rows = np.rec.fromarrays([queries, references, scores])
        _, kept = np.unique(rows, return_index=True)
        return ScoredPairs(
            self._queries,
            self._references,
            queries[kept].astype(np.int64),
            references[kept].astype(np.int64),
            scores[kept].astype(np.float32),
        )
