"""What stands on the pooled feature, and where the length of the embedding comes from."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LinearBN(nn.Module):
    """Linear to D dimensions, then batch norm without a learned shift: a whitened, un-normalised embedding.

    Over a batch the mean squared length is D, so lengths say how images compare and cannot all
    grow.
    """

    def __init__(self, width: int, dim: int) -> None:
        """``[B, width]`` -> ``[B, dim]``."""
        super().__init__()
        self.dim = dim
        self.linear = nn.Linear(width, dim, bias=False)
        self.norm = nn.BatchNorm1d(dim)
        self.norm.bias.requires_grad_(False)

    def forward(self, pooled: Tensor) -> Tensor:
        """The embedding."""
        result: Tensor = self.norm(self.linear(pooled))
        return result


class Linear(nn.Module):
    """One linear layer with bias (SSCD, lyakaap)."""

    def __init__(self, width: int, dim: int) -> None:
        """``[B, width]`` -> ``[B, dim]``."""
        super().__init__()
        self.dim = dim
        self.linear = nn.Linear(width, dim)

    def forward(self, pooled: Tensor) -> Tensor:
        """The embedding."""
        result: Tensor = self.linear(pooled)
        return result


class BatchNorm(nn.Module):
    """Batch norm alone, its shift frozen at 0: the ``projector_feat_bn`` of the ASL authors' later code."""

    def __init__(self, width: int, dim: int | None = None) -> None:
        """``[B, width]`` -> ``[B, width]``; ``dim`` must be the width where it is given."""
        super().__init__()
        if dim not in (None, width):
            raise ValueError(
                f"BatchNorm keeps the {width} dimensions of the pooled feature; dim={dim} asks for others"
            )
        self.dim = width
        self.norm = nn.BatchNorm1d(width)
        self.norm.bias.requires_grad_(False)

    def forward(self, pooled: Tensor) -> Tensor:
        """The embedding."""
        result: Tensor = self.norm(pooled)
        return result


class Projector(nn.Module):
    """Linear, batch norm, leaky ReLU, repeated; the last linear layer bare (2048-4096-8192 in the D2LV baseline)."""

    def __init__(
        self,
        width: int,
        dim: int,
        hidden: Sequence[int] = (4096,),
        *,
        slope: float = 0.0,
        scale: bool = False,
    ) -> None:
        """``[B, width]`` -> ``[B, dim]`` through ``hidden`` layers.

        Args:
            width: of the pooled feature.
            dim: of the embedding.
            hidden: widths of the layers between.
            slope: of the leaky ReLUs below 0; 0 is a ReLU.
            scale: the last batch norm learns its scale (its shift stays 0).
        """
        super().__init__()
        self.dim = dim
        layers: list[nn.Module] = []
        for wide in hidden:
            layers += [
                nn.Linear(width, wide, bias=False),
                nn.BatchNorm1d(wide),
                nn.LeakyReLU(slope, inplace=True),
            ]
            width = wide
        last = nn.BatchNorm1d(dim, affine=scale)
        if scale:
            last.bias.requires_grad_(False)
        self.layers = nn.Sequential(*layers, nn.Linear(width, dim, bias=False), last)

    def forward(self, pooled: Tensor) -> Tensor:
        """The embedding."""
        result: Tensor = self.layers(pooled)
        return result


class Sqrt(nn.Module):
    """Element-wise square root of a non-negative feature: a few strong channels no longer outvote the others.

    Power-law normalisation (Perronnin et al., ECCV 2010, section 3.2, alpha = 1/2). Keeps the
    width.
    """

    def __init__(self, width: int) -> None:
        """``[B, width]`` -> ``[B, width]``."""
        super().__init__()
        self.dim = width

    def forward(self, pooled: Tensor) -> Tensor:
        """The embedding; negative entries count as 0, with a finite gradient everywhere."""
        return pooled.clamp_min(1e-6).sqrt()


class NormHead(nn.Module):
    """Give the embedding a length of its own: direction from a neck, log-norm from a small network beside it.

    With a single vector the two pull at the same weights; here the norm-ratio loss may shape the
    length as it likes without moving the angle. The log-norm is bounded to ±``bound`` around 0 by a
    soft clip, so that it stays usable as a dimension of an inner product.
    """

    def __init__(
        self,
        neck: nn.Module,
        width: int,
        *,
        hidden: int = 256,
        bound: float = 2.0,
        detach: bool = False,
    ) -> None:
        """Stand beside a neck.

        Args:
            neck: gives the direction.
            width: of the pooled feature.
            hidden: units of the small network.
            bound: largest absolute log-norm.
            detach: leave the backbone alone: a head on frozen features.
        """
        super().__init__()
        self.neck, self.dim = neck, int(neck.dim)  # type: ignore[arg-type]
        self.bound, self._detach = bound, detach
        self.head = nn.Sequential(
            nn.BatchNorm1d(width), nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, 1)
        )

    def forward(self, pooled: Tensor) -> Tensor:
        """``[B, D]`` = exp(bounded log-norm) times the unit direction."""
        seen = pooled.detach() if self._detach else pooled
        log_norm = self.bound * torch.tanh(self.head(seen) / self.bound)
        return log_norm.exp() * F.normalize(self.neck(pooled), dim=1)
