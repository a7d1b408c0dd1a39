"""Projection necks and the norm head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LinearBN(nn.Module):
    """Linear layer to D dimensions, then batch norm: a standardised, un-normalised embedding.

    Over a batch the mean squared norm is D, so norms are relative and cannot all grow.
    """

    def __init__(self, width: int, dim: int, *, shift: bool = False) -> None:
        """Map ``[B, width]`` to ``[B, dim]``; ``shift`` learns the shift of the batch norm."""
        super().__init__()
        self.dim = dim
        self.linear = nn.Linear(width, dim, bias=False)
        self.norm = nn.BatchNorm1d(dim)
        self.norm.bias.requires_grad_(shift)

    def forward(self, pooled: Tensor) -> Tensor:
        """Return the embedding ``[B, D]``."""
        result: Tensor = self.norm(self.linear(pooled))
        return result


class Linear(nn.Module):
    """One linear layer with bias (SSCD, lyakaap)."""

    def __init__(self, width: int, dim: int) -> None:
        """Map ``[B, width]`` to ``[B, dim]``."""
        super().__init__()
        self.dim = dim
        self.linear = nn.Linear(width, dim)

    def forward(self, pooled: Tensor) -> Tensor:
        """Return the embedding ``[B, D]``."""
        result: Tensor = self.linear(pooled)
        return result


class BatchNorm(nn.Module):
    """Batch norm with its shift frozen at 0.

    The ``projector_feat_bn`` of the ASL authors' later code.
    """

    def __init__(self, width: int) -> None:
        """Map ``[B, width]`` to ``[B, width]``."""
        super().__init__()
        self.dim = width
        self.norm = nn.BatchNorm1d(width)
        self.norm.bias.requires_grad_(False)

    def forward(self, pooled: Tensor) -> Tensor:
        """Return the embedding ``[B, D]``."""
        result: Tensor = self.norm(pooled)
        return result


class Projector(nn.Module):
    """Hidden layers of linear, batch norm and leaky ReLU, then a linear layer and batch norm.

    2048-4096-8192 in the D2LV baseline.
    """

    def __init__(
        self,
        width: int,
        dim: int,
        hidden: Sequence[int] = (4096,),
        *,
        slope: float = 0.0,
        scale: bool = False,
    ) -> None:
        """Map ``[B, width]`` to ``[B, dim]`` through ``hidden`` layers.

        Args:
            width: of the pooled feature.
            dim: of the embedding.
            hidden: widths of the hidden layers.
            slope: of the leaky ReLUs below 0; 0 is a ReLU.
            scale: learn the scale of the last batch norm (its shift stays 0).
        """
        super().__init__()
        self.dim = dim
        layers: list[nn.Module] = []
        for units in hidden:
            layers += [
                nn.Linear(width, units, bias=False),
                nn.BatchNorm1d(units),
                nn.LeakyReLU(slope, inplace=True),
            ]
            width = units
        last = nn.BatchNorm1d(dim, affine=scale)
        if scale:
            last.bias.requires_grad_(False)
        self.layers = nn.Sequential(*layers, nn.Linear(width, dim, bias=False), last)

    def forward(self, pooled: Tensor) -> Tensor:
        """Return the embedding ``[B, D]``."""
        result: Tensor = self.layers(pooled)
        return result


class Sqrt(nn.Module):
    """Element-wise square root of a non-negative feature, which dampens its strongest channels.

    Power-law normalisation (Perronnin et al., ECCV 2010, section 3.2, alpha = 1/2).
    """

    def __init__(self, width: int) -> None:
        """Map ``[B, width]`` to ``[B, width]``."""
        super().__init__()
        self.dim = width

    def forward(self, pooled: Tensor) -> Tensor:
        """Return the embedding; negative entries count as 0, every gradient is finite."""
        return pooled.clamp_min(1e-6).sqrt()


class SqrtLinear(nn.Module):
    """Element-wise square root, then a linear layer: :class:`Sqrt` in fewer dimensions.

    The layer may start as a whitening of the square roots, e.g. one fitted on pairs of views
    (``scripts/train_upper_stages.py``).
    """

    def __init__(self, width: int, dim: int) -> None:
        """Map ``[B, width]`` to ``[B, dim]``."""
        super().__init__()
        self.root = Sqrt(width)
        self.linear = nn.Linear(width, dim)
        self.dim = dim

    def forward(self, pooled: Tensor) -> Tensor:
        """Return the embedding ``[B, D]``."""
        result: Tensor = self.linear(self.root(pooled))
        return result


class NormHead(nn.Module):
    """Predict the log-norm of the embedding by a small network beside the neck.

    A neck alone shares its weights between direction and norm; here the norm-ratio loss shapes the
    norm without moving the angle. A soft clip bounds the log-norm to ±``bound``, so that it stays
    usable as a dimension of an inner product.

    What a pooled feature was trained to ignore, the norm needs: how large things are shown, how
    sharp, how much is cut off. Maps of earlier stages still have it, so the head may read their
    statistics as well (``Recipe.norm_stages``).
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
        """Wrap a neck.

        Args:
            neck: predicts the direction.
            width: of the pooled feature and the statistics beside it.
            hidden: units of the small network.
            bound: largest absolute log-norm.
            detach: keep the gradient of the head from the backbone.
        """
        super().__init__()
        self.neck = neck
        self.dim = int(neck.dim)  # type: ignore[arg-type]
        self.bound = bound
        self._detach = detach
        self.head = nn.Sequential(
            nn.BatchNorm1d(width), nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, 1)
        )

    def log_norm(self, pooled: Tensor, *statistics: Tensor) -> Tensor:
        """Predict the bounded log-norm ``[B, 1]``.

        Args:
            pooled: ``[B, W]``.
            statistics: ``[B, W']`` of each stage that the head reads.
        """
        features = torch.cat([pooled, *statistics], dim=1) if statistics else pooled
        features = features.detach() if self._detach else features
        result: Tensor = self.bound * torch.tanh(self.head(features) / self.bound)
        return result

    def forward(self, pooled: Tensor, *statistics: Tensor) -> Tensor:
        """Return ``[B, D]``: exp(bounded log-norm) times the unit direction."""
        log_norm = self.log_norm(pooled, *statistics)
        return log_norm.exp() * F.normalize(self.neck(pooled), dim=1)
