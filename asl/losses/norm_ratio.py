"""Ordering feature norms by how much of the original is left: the asymmetric half of ASL.

Wang, Sun & Yang, "A Benchmark and Asymmetrical-Similarity Learning for Practical Image Copy
Detection", AAAI 2023, arXiv 2205.12358. For two views a, b of one original where a holds more of
it: L = exp(1 − |f_a| / |f_b|).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asl.counts import counted
from asl.losses.loss_inputs import LossInputs
from asl.types import UsageError

Form = Literal["ratio", "log_ratio", "margin"]


def norm_ratio(larger: Tensor, smaller: Tensor) -> Tensor:
    """Compute L = exp(1 − |f_a| / |f_b|), element by element.

    Args:
        larger: ``[...]`` |f_a| of the view that holds more.
        smaller: ``[...]`` |f_b| of the one that holds less.
    """
    return torch.exp(1 - larger / smaller)


def norm_log_ratio(larger: Tensor, smaller: Tensor, *, scale: float = 10.0) -> Tensor:
    """Compute softplus(−scale · (ln|f_a| − ln|f_b|)) / scale, a logistic loss; ours.

    Its gradient does not depend on the size of the norms and vanishes once the order is clear.

    Args:
        larger: ``[...]`` |f_a| of the view that holds more.
        smaller: ``[...]`` |f_b| of the one that holds less.
        scale: steepness per unit of log-norm.
    """
    return F.softplus(-scale * (larger.log() - smaller.log())) / scale


def norm_margin(larger: Tensor, smaller: Tensor, *, margin: Tensor | float) -> Tensor:
    """Compute max(0, margin − (ln|f_a| − ln|f_b|)): 0 once log-norms are ``margin`` apart; ours.

    Args:
        larger: ``[...]`` |f_a| of the view that holds more.
        smaller: ``[...]`` |f_b| of the one that holds less.
        margin: one for all, or ``[...]``.
    """
    return F.relu(margin - (larger.log() - smaller.log()))


def draw_published_pairs(
    content: Tensor, *, tries: int = 5, generator: torch.Generator | None = None
) -> Tensor:
    """Draw a pair of views of every original as the published code does.

    Two of the K views are drawn independently, with replacement; again while their contents are
    equal, ``tries`` times at most. Where they stay equal both entries are the first drawn view, so
    the ratio is 1 and has no gradient.

    Args:
        content: ``[P, K]`` of K views of P originals.
        tries: number of draws.
        generator: of the random numbers.

    Returns:
        int64 ``[P, 2]`` the view that holds more, then the one that holds less.
    """
    rows = torch.arange(len(content), device=content.device)
    views = content.shape[1]
    drawn = torch.zeros(len(content), 2, dtype=torch.int64, device=content.device)
    pending = torch.ones(len(content), dtype=torch.bool, device=content.device)
    for _ in range(tries):
        fresh = torch.randint(views, drawn.shape, generator=generator, device=content.device)
        drawn = torch.where(pending[:, None], fresh, drawn)
        pending = content[rows, drawn[:, 0]] == content[rows, drawn[:, 1]]
    values = torch.gather(content, 1, drawn)
    more, less = values.argmax(dim=1), values.argmin(dim=1)
    return torch.stack([drawn[rows, more], drawn[rows, less]], dim=1)


def ordered_pairs(content: Tensor, source: Tensor, *, gap: float = 0.0) -> Tensor:
    """List all ordered pairs (a, b) of rows of one original with content_a > content_b + gap.

    Args:
        content: ``[B]``.
        source: ``[B]``.
        gap: difference of content up to which two views are not compared.

    Returns:
        int64 ``[N, 2]``.
    """
    comparable = (source[:, None] == source[None, :]) & (content[:, None] > content[None, :] + gap)
    return comparable.nonzero()


class NormRatio(nn.Module):
    """Order the norms of the views of each original by their content."""

    def __init__(
        self,
        *,
        pairs: Literal["published", "all"] = "all",
        form: Form = "ratio",
        gap: float = 0.02,
        margin: float = 0.1,
        per_content: bool = False,
        scale: float = 10.0,
    ) -> None:
        """Choose pairs and the form of the loss.

        Args:
            pairs: ``published`` draws one pair of every original (needs the same number of views of
                each, side by side), ``all`` uses every ordered pair.
            form: ``ratio`` as published, ``log_ratio`` or ``margin``.
            gap: least difference of content of a pair (``all``).
            margin: of ``margin``, in log-norm.
            per_content: multiply the margin by ln(content_a / content_b).
            scale: of ``log_ratio``.

        Raises:
            UsageError: an unknown ``pairs`` or ``form``.
        """
        super().__init__()
        if pairs not in ("published", "all"):
            raise UsageError(f"pairs: expected published or all, got {pairs!r}")
        if form not in ("ratio", "log_ratio", "margin"):
            raise UsageError(f"form: expected ratio, log_ratio or margin, got {form!r}")
        self._published = pairs == "published"
        self._form = form
        self._gap = gap
        self._margin = margin
        self._per_content = per_content
        self._scale = scale

    def forward(self, inputs: LossInputs) -> Tensor:
        """Return the mean over the pairs; 0 (with a gradient of 0) without any."""
        content = inputs.need("content")
        rows = self._rows(inputs, content)
        if not len(rows):
            return inputs.norms.sum() * 0.0
        larger, smaller = inputs.norms[rows[:, 0]], inputs.norms[rows[:, 1]]
        if self._form == "ratio":
            return norm_ratio(larger, smaller).mean()
        if self._form == "log_ratio":
            return norm_log_ratio(larger, smaller, scale=self._scale).mean()
        margin: Tensor | float = self._margin
        if self._per_content:
            margin = self._margin * (
                content[rows[:, 0]].log() - content[rows[:, 1]].clamp_min(0.02).log()
            )
        return norm_margin(larger, smaller, margin=margin).mean()

    def _rows(self, inputs: LossInputs, content: Tensor) -> Tensor:
        if not self._published:
            return ordered_pairs(content, inputs.source, gap=self._gap)
        # By the views' numbers: two neighbours in a batch may show the same original.
        views = int(inputs.need("view").max()) + 1
        if len(content) % views:
            raise UsageError(
                "loss.parts.norm_ratio.pairs: published needs the same number of views of every "
                f"original, side by side; got {counted(len(content), 'row')} of {views} views; "
                "set it to all"
            )
        chosen = draw_published_pairs(content.view(-1, views))
        return chosen + torch.arange(len(chosen), device=chosen.device)[:, None] * views
