"""Pooling of feature maps ``[B, C, h, w]`` to ``[B, C]``: GeM, average, R-MAC."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asl.types import UsageError


class GeM(nn.Module):
    """Generalised mean: (mean x^p)^(1/p) over positions (Radenović et al., TPAMI 2018, eq. 2)."""

    def __init__(self, *, p: float = 3.0, learned: bool = False, eps: float = 1e-6) -> None:
        """Set p, fixed or learned.

        Args:
            p: 1 is the average, large p approaches the maximum.
            learned: train p.
            eps: least value that a feature is clamped to.

        Raises:
            UsageError: p is not above 0.
        """
        super().__init__()
        if p <= 0:
            raise UsageError(f"model.p: GeM needs p > 0, got {p}")
        self.p = nn.Parameter(torch.tensor(float(p)), requires_grad=learned)
        self._eps = eps

    def forward(self, features: Tensor) -> Tensor:
        """Pool ``[B, C, h, w]`` to ``[B, C]``."""
        powered = features.float().clamp_min(self._eps).pow(self.p)
        return powered.mean(dim=(2, 3)).pow(1.0 / self.p)


class Average(nn.Module):
    """Mean over positions."""

    def forward(self, features: Tensor) -> Tensor:
        """Pool ``[B, C, h, w]`` to ``[B, C]``."""
        return features.float().mean(dim=(2, 3))


class RMAC(nn.Module):
    """Sum of l2-normalised regional maxima (Tolias et al., ICLR 2016, section 3)."""

    def __init__(self, *, levels: int = 3) -> None:
        """Set the number of scales of regions."""
        super().__init__()
        self._levels = levels

    def forward(self, features: Tensor) -> Tensor:
        """Pool ``[B, C, h, w]`` to ``[B, C]``."""
        height, width = features.shape[2:]
        total = F.normalize(features.float().amax(dim=(2, 3)), dim=1)
        for level in range(1, self._levels + 1):
            side = max(1, int(2 * min(height, width) / (level + 1)))
            for top in _starts(height, side, level):
                for left in _starts(width, side, level):
                    region = (
                        features[:, :, top : top + side, left : left + side]
                        .float()
                        .amax(dim=(2, 3))
                    )
                    total = total + F.normalize(region, dim=1)
        return total


def map_statistics(features: Tensor) -> Tensor:
    """Return mean and standard deviation of every channel: ``[B, C, h, w]`` to ``[B, 2 C]``."""
    mean = features.mean(dim=(2, 3), keepdim=True)
    variance = (features - mean).square().mean(dim=(2, 3))
    # Above 0, where the root has no gradient.
    return torch.cat([mean[:, :, 0, 0], (variance + 1e-6).sqrt()], dim=1)


def _starts(length: int, side: int, level: int) -> list[int]:
    """Place the regions of a level along one axis: evenly, overlapping by about 40 %."""
    if length <= side:
        return [0]
    count = max(level, 1 + round((length - side) / (0.6 * side)))
    return sorted({round(step * (length - side) / max(count - 1, 1)) for step in range(count)})
