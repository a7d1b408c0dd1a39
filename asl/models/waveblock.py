"""WaveBlock: amplify all rows of a feature map but one random strip, in training."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class WaveBlock:
    """Forward hook of a stage (Wang et al., "Attentive WaveBlock", TIP 2022, section 3.1).

    D2LV puts it after stages 2 and 3. One strip for the whole batch, a share of the height, stays
    unchanged; the other rows are multiplied. In evaluation mode nothing happens.
    """

    def __init__(self, *, share: float = 0.3, rate: float = 1.5) -> None:
        """Set the share of the strip, 0..1 of the height, and the factor of the other rows."""
        self._share, self._rate = share, rate

    def __call__(self, stage: nn.Module, _: object, features: Tensor) -> Tensor:
        """Return ``[B, C, h, w]``, the amplified output of the stage."""
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
