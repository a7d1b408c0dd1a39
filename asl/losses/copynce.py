"""Patch-level InfoNCE against tracked overlaps: CopyNCE (arXiv 2602.17484)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from asl.losses.loss_inputs import LossInputs
from asl.types import AslError


def copy_nce(
    first: Tensor, second: Tensor, overlap: Tensor, *, scale: float, gamma: float
) -> Tensor:
    """Average the soft cross-entropies of patch similarities with q_ij ∝ overlap_ij^γ, both ways.

    Args:
        first: ``[N, T, C]`` patch features of one view of N originals.
        second: ``[N, T, C]`` of another view.
        overlap: ``[N, T, T]`` share of patch i of the first that is visible in patch j of the
            second.
        scale: of the cosines in the softmax.
        gamma: γ; sharpens the targets.

    Returns:
        Mean over the patches that overlap any other; 0 where none does.
    """
    logits = scale * F.normalize(first, dim=2) @ F.normalize(second, dim=2).transpose(1, 2)
    forth = _one_way(logits, overlap, gamma)
    back = _one_way(logits.transpose(1, 2), overlap.transpose(1, 2), gamma)
    return 0.5 * (forth + back)


def _one_way(logits: Tensor, overlap: Tensor, gamma: float) -> Tensor:
    target = overlap.clamp_min(0).pow(gamma) * (overlap > 0)
    total = target.sum(dim=2, keepdim=True)
    visible = total[..., 0] > 0
    if not visible.any():
        return logits.sum() * 0.0
    target = target / total.clamp_min(1e-12)
    return -(target * F.log_softmax(logits, dim=2)).sum(dim=2)[visible].mean()


class CopyNCE(nn.Module):
    """Match the patches of view 0 with their own pixels in every other view."""

    needs = ("overlaps", "tokens")

    def __init__(self, *, scale: float = 16.0, gamma: float = 3.0) -> None:
        """Set scale and γ (3 for descriptors, 1 for matchers, as published)."""
        super().__init__()
        self._scale = scale
        self._gamma = gamma

    def forward(self, inputs: LossInputs) -> Tensor:
        """Compare view 0 with each other view of its original; see :func:`copy_nce`."""
        overlaps, tokens = inputs.need("overlaps"), inputs.need("tokens").flatten(2).transpose(1, 2)
        originals, others, patches, _ = overlaps.shape
        if tokens.shape[1] != patches:
            side = round(tokens.shape[1] ** 0.5)
            raise AslError(
                f"data.grid: the network has {tokens.shape[1]} patches, the overlaps {patches}; "
                f"set data.grid={side}"
            )
        grouped = tokens.reshape(originals, others + 1, patches, -1)
        return copy_nce(
            grouped[:, :1].expand(-1, others, -1, -1).flatten(0, 1),
            grouped[:, 1:].flatten(0, 1),
            overlaps.flatten(0, 1),
            scale=self._scale,
            gamma=self._gamma,
        )
