"""Metric losses between the rows of a batch, or of a batch and a memory."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asl.losses.loss_inputs import LossInputs


def info_nce(
    unit: Tensor, source: Tensor, *, temperature: float, ignore: Tensor | None = None
) -> Tensor:
    """Mean over all ordered pairs (i, j) of one original of −log e^{s_ij/t} / (e^{s_ij/t} + Σ_n e^{s_in/t}).

    n runs over the rows of other originals (van den Oord et al., arXiv 1807.03748; with several
    positives as in SSCD, Pizzi et al., CVPR 2022, eq. 1-2: the other positives are in no
    denominator).

    Args:
        unit: ``[B, D]`` unit rows.
        source: int64 ``[B]``.
        temperature: t.
        ignore: bool ``[B, B]`` pairs of different originals that are no negatives (suspected
            copies).
    """
    logits = unit @ unit.T / temperature
    same = source[:, None] == source[None, :]
    positive = same & ~torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    if not positive.any():
        return unit.sum() * 0.0
    outside = same if ignore is None else same | ignore
    negatives = torch.logsumexp(logits.masked_fill(outside, float("-inf")), dim=1, keepdim=True)
    # −log e^a / (e^a + e^n) = softplus(n − a)
    return F.softplus(negatives - logits)[positive].mean()


def mask_suspects(unit: Tensor, source: Tensor, *, above: float) -> Tensor:
    """Bool ``[B, B]`` rows of different originals that look so alike that they may be copies: false negatives."""
    return (unit.detach() @ unit.detach().T > above) & (source[:, None] != source[None, :])


class InfoNCE(nn.Module):
    """InfoNCE with all views of the other originals in the joined batch as negatives."""

    def __init__(self, *, temperature: float = 0.05, suspect_above: float | None = None) -> None:
        """Set the temperature, and the cosine above which another original is no negative."""
        super().__init__()
        self._temperature, self._suspect = temperature, suspect_above

    def forward(self, inputs: LossInputs) -> Tensor:
        """See :func:`info_nce`."""
        ignore = (
            None
            if self._suspect is None
            else mask_suspects(inputs.unit, inputs.source, above=self._suspect)
        )
        if (
            ignore is not None and inputs.pair_index is not None
        ):  # known to be no copies, however alike
            first, second = inputs.pair_index.T
            ignore[first, second] = ignore[second, first] = False
        return info_nce(inputs.unit, inputs.source, temperature=self._temperature, ignore=ignore)


def contrastive(
    unit: Tensor,
    source: Tensor,
    keys: Tensor,
    key_source: Tensor,
    *,
    positive_margin: float,
    negative_margin: float,
) -> Tensor:
    """Mean of max(0, d − m_p) over positive pairs plus mean of max(0, m_n − d) over violating negative ones.

    d is the Euclidean distance of unit vectors (Hadsell et al., CVPR 2006, without squares, as in
    lyakaap's ISC21 solution).

    Args:
        unit: ``[B, D]``.
        source: ``[B]``.
        keys: ``[M, D]`` the batch itself, then what a memory holds; a row is not paired with
            itself.
        key_source: ``[M]``.
        positive_margin: m_p.
        negative_margin: m_n.
    """
    distance = (2 - 2 * (unit @ keys.T)).clamp_min(1e-12).sqrt()
    same = source[:, None] == key_source[None, :]
    # By place: in float32 a row is up to 1e-3 away from itself.
    pull = F.relu(distance - positive_margin)[same.clone().fill_diagonal_(False)]
    push = F.relu(negative_margin - distance)[~same]
    push = push[push > 0]
    zero = unit.sum() * 0.0
    return (pull.mean() if len(pull) else zero) + (push.mean() if len(push) else zero)


class MemoryBank(nn.Module):
    """The unit features of the last ``size`` rows, part of the state so that a resumed run has them too."""

    keys: Tensor
    key_source: Tensor
    filled: Tensor

    def __init__(self, *, size: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("keys", torch.zeros(size, dim))
        self.register_buffer("key_source", torch.full((size,), -1, dtype=torch.int64))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))

    def held(self) -> tuple[Tensor, Tensor]:
        """What is in it: ``[M, D]`` and ``[M]``."""
        count = min(int(self.filled), len(self.keys))
        return self.keys[:count], self.key_source[:count]

    @torch.no_grad()
    def push(self, unit: Tensor, source: Tensor) -> None:
        """Put rows in; the oldest go."""
        places = (self.filled + torch.arange(len(unit), device=self.keys.device)) % len(self.keys)
        self.keys[places] = unit.detach().to(self.keys.dtype)
        self.key_source[places] = source
        self.filled += len(unit)


class CrossBatchContrastive(MemoryBank):
    """Contrastive loss against the batch and a memory of earlier ones (Wang et al., XBM, CVPR 2020, algorithm 1)."""

    def __init__(
        self,
        *,
        dim: int,
        classes: int | None = None,
        size: int = 20000,
        positive_margin: float = 0.0,
        negative_margin: float = 1.0,
    ) -> None:
        """Set the memory and the margins; ``classes`` is not used."""
        super().__init__(size=size, dim=dim)
        self._margins = {"positive_margin": positive_margin, "negative_margin": negative_margin}

    def forward(self, inputs: LossInputs) -> Tensor:
        """Compare with batch and memory, then remember the batch."""
        keys, key_source = self.held()
        keys = torch.cat([inputs.unit, keys.to(inputs.unit.dtype)])
        loss = contrastive(
            inputs.unit,
            inputs.source,
            keys,
            torch.cat([inputs.source, key_source]),
            **self._margins,
        )
        if self.training:
            self.push(inputs.unit, inputs.source)
        return loss


class QueueNCE(MemoryBank):
    """InfoNCE whose negatives also come from a queue of earlier rows (He et al., MoCo, CVPR 2020)."""

    def __init__(
        self, *, dim: int, classes: int | None = None, size: int = 65536, temperature: float = 0.07
    ) -> None:
        """Set the queue and the temperature; ``classes`` is not used."""
        super().__init__(size=size, dim=dim)
        self._temperature = temperature

    def forward(self, inputs: LossInputs) -> Tensor:
        """−log e^{s_ij/t} / (e^{s_ij/t} + Σ over other originals in batch and queue), then queue the batch."""
        keys, key_source = self.held()
        unit, source = inputs.unit, inputs.source
        logits = unit @ torch.cat([unit, keys.to(unit.dtype)]).T / self._temperature
        same = source[:, None] == torch.cat([source, key_source])[None, :]
        positive = same.clone()
        positive[:, len(unit) :] = False
        positive.fill_diagonal_(False)
        negatives = torch.logsumexp(logits.masked_fill(same, float("-inf")), dim=1, keepdim=True)
        loss = (
            F.softplus(negatives - logits)[positive].mean() if positive.any() else unit.sum() * 0.0
        )
        if self.training:
            self.push(unit, source)
        return loss


def soft_triplet(features: Tensor, source: Tensor) -> Tensor:
    """Mean over anchors of softplus(d(hardest positive) − d(hardest negative)).

    The soft-margin batch-hard triplet loss (Hermans et al., arXiv 1703.07737, eq. 5 and section
    3.4).

    Args:
        features: ``[B, D]``, compared by Euclidean distance.
        source: ``[B]``; anchors without a positive or a negative are left out.
    """
    same = source[:, None] == source[None, :]
    positive = same & ~torch.eye(len(source), dtype=torch.bool, device=source.device)
    usable = positive.any(dim=1) & (~same).any(dim=1)
    if not usable.any():
        return features.sum() * 0.0
    with (
        torch.no_grad()
    ):  # who is hardest; the gradient of all B² distances would take B² D numbers
        distance = torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist")
        far = distance.masked_fill(~positive, float("-inf")).argmax(dim=1)[usable]
        near = distance.masked_fill(same, float("inf")).argmin(dim=1)[usable]
    anchors = features[usable]
    to_far, to_near = (
        torch.linalg.vector_norm(anchors - features[place], dim=1) for place in (far, near)
    )
    return F.softplus(to_far - to_near).mean()


class SoftTriplet(nn.Module):
    """Soft-margin triplet loss with the hardest pairs of the batch, on features or on directions."""

    def __init__(self, *, normalised: bool = False) -> None:
        """Choose what is compared."""
        super().__init__()
        self._normalised = normalised

    def forward(self, inputs: LossInputs) -> Tensor:
        """See :func:`soft_triplet`."""
        return soft_triplet(inputs.unit if self._normalised else inputs.features, inputs.source)


def koleo(unit: Tensor, source: Tensor) -> Tensor:
    """−mean ln ‖u_i − u_nearest‖ over rows, the nearest being of another original.

    The differential-entropy term of SSCD (Pizzi et al., CVPR 2022, eq. 4; Sablayrolles et al., ICLR
    2019).
    """
    same = source[:, None] == source[None, :]
    if bool(same.all()):
        return unit.sum() * 0.0
    nearest = (unit @ unit.T).masked_fill(same, -2.0).max(dim=1).values
    return -0.5 * torch.log((2 - 2 * nearest).clamp_min(1e-6)).mean()


class KoLeo(nn.Module):
    """Spreads the originals over the sphere."""

    def forward(self, inputs: LossInputs) -> Tensor:
        """See :func:`koleo`."""
        return koleo(inputs.unit, inputs.source)
