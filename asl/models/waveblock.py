"""WaveBlock: while training, all rows of a feature map but one random strip are amplified."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class WaveBlock:
    """A forward hook (Wang et al., "Attentive WaveBlock", TIP 2022, section 3.1; in D2LV after stages 2 and 3).

    One strip for the whole batch, a share of the height, stays as it is; the other rows are
    multiplied. In evaluation mode nothing happens.
    """

    def __init__(self, *, share: float = 0.3, rate: float = 1.5) -> None:
        """Set the height of the strip and the factor of the rest."""
        self._share, self._rate = share, rate

    def __call__(self, stage: nn.Module, _: object, features: Tensor) -> Tensor:
        """``[B, C, h, w]`` of a stage -> the same shape."""
        if not stage.training:
            return features
        height = features.shape[2]
        strip = max(1, round(self._share * height))
        top = int(torch.randint(0, height - strip + 1, (1,)))
        wave = torch.full(
            (1, 1, height, 1), self._rate, device=features.device, dtype=features.dtype
        )
        wave[:, :, top : top + strip] = 1.0
        return features * wave
