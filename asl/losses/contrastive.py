"""Metric losses between the rows of a batch; with a memory of earlier rows: ``memory_bank``."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asl.losses.loss_inputs import LossInputs


def info_nce(
    unit: Tensor, source: Tensor, *, temperature: float | Tensor, ignore: Tensor | None = None
) -> Tensor:
    """Average −log e^{s_ij/t} / (e^{s_ij/t} + Σ_n e^{s_in/t}) over ordered pairs of one original.

    n runs over the rows of other originals (van den Oord et al., arXiv 1807.03748; with several
    positives as in SSCD, Pizzi et al., CVPR 2022, eq. 1-2: the other positives are in no
    denominator).

    Args:
        unit: ``[B, D]`` unit rows.
        source: int64 ``[B]``.
        temperature: t.
        ignore: bool ``[B, B]``; pairs of different originals that are no negatives.
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
    """Mark rows of different originals whose cosine suggests a copy, i.e. a false negative.

    Args:
        unit: ``[B, D]`` unit rows.
        source: int64 ``[B]``.
        above: cosine from which on two originals are suspected to be copies.

    Returns:
        bool ``[B, B]``.
    """
    return (unit.detach() @ unit.detach().T > above) & (source[:, None] != source[None, :])


class InfoNCE(nn.Module):
    """InfoNCE with all views of other originals in the joined batch as negatives."""

    def __init__(
        self,
        *,
        temperature: float = 0.05,
        learned: bool = False,
        suspect_above: float | None = None,
    ) -> None:
        """Set the temperature and the limit of suspicion.

        Args:
            temperature: t; its start where it is learned.
            learned: train ln(1 / t), as CopyNCE does (from 3.2).
            suspect_above: cosine above which another original is no negative.
        """
        super().__init__()
        self._temperature = temperature
        self._suspect_above = suspect_above
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature))) if learned else None

    def forward(self, inputs: LossInputs) -> Tensor:
        """Apply :func:`info_nce`."""
        ignore = inputs.group[:, None] == inputs.group[None, :]
        if self._suspect_above is not None:
            suspects = mask_suspects(inputs.unit, inputs.source, above=self._suspect_above)
            if inputs.pair_index is not None:  # known to be no copies, however alike
                first, second = inputs.pair_index.T
                suspects[first, second] = suspects[second, first] = False
            ignore = ignore | suspects
        learned = None if self.log_scale is None else (-self.log_scale).exp()
        temperature = self._temperature if learned is None else learned
        return info_nce(inputs.unit, inputs.source, temperature=temperature, ignore=ignore)


def contrastive(
    unit: Tensor,
    source: Tensor,
    keys: Tensor,
    key_source: Tensor,
    *,
    positive_margin: float,
    negative_margin: float,
    ignore: Tensor | None = None,
) -> Tensor:
    """Add the means of max(0, d − m_p) over positives and max(0, m_n − d) over violated negatives.

    d is the Euclidean distance of unit vectors (Hadsell et al., CVPR 2006, without squares, as in
    lyakaap's ISC21 solution).

    Args:
        unit: ``[B, D]`` unit rows.
        source: int64 ``[B]``.
        keys: ``[M, D]`` the batch itself, then the rows of a memory; a row is not paired with
            itself.
        key_source: int64 ``[M]``.
        positive_margin: m_p, a distance.
        negative_margin: m_n, a distance.
        ignore: bool ``[B, M]``; pairs of different originals that are no negatives.
    """
    distance = (2 - 2 * (unit @ keys.T)).clamp_min(1e-12).sqrt()
    same = source[:, None] == key_source[None, :]
    # By position: in float32 a row is up to 1e-3 away from itself.
    pull = F.relu(distance - positive_margin)[same.clone().fill_diagonal_(False)]
    negative = ~same if ignore is None else ~(same | ignore)
    push = F.relu(negative_margin - distance)[negative]
    push = push[push > 0]
    zero = unit.sum() * 0.0
    return (pull.mean() if len(pull) else zero) + (push.mean() if len(push) else zero)


def soft_triplet(features: Tensor, source: Tensor, *, group: Tensor | None = None) -> Tensor:
    """Average softplus(d(hardest positive) − d(hardest negative)) over anchors.

    The soft-margin batch-hard triplet loss (Hermans et al., arXiv 1703.07737, eq. 5 and section
    3.4).

    Args:
        features: ``[B, D]``, compared by Euclidean distance.
        source: int64 ``[B]``; anchors without a positive or a negative are left out.
        group: int64 ``[B]``; rows of another group are negatives. ``source`` where None.
    """
    same = source[:, None] == source[None, :]
    negative = ~same if group is None else group[:, None] != group[None, :]
    positive = same & ~torch.eye(len(source), dtype=torch.bool, device=source.device)
    usable = positive.any(dim=1) & negative.any(dim=1)
    if not usable.any():
        return features.sum() * 0.0
    # Without a gradient: that of all B² distances would take B² · D numbers.
    with torch.no_grad():
        distance = torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist")
        farthest = distance.masked_fill(~positive, float("-inf")).argmax(dim=1)[usable]
        nearest = distance.masked_fill(~negative, float("inf")).argmin(dim=1)[usable]
    anchors = features[usable]
    to_positive = torch.linalg.vector_norm(anchors - features[farthest], dim=1)
    to_negative = torch.linalg.vector_norm(anchors - features[nearest], dim=1)
    return F.softplus(to_positive - to_negative).mean()


class SoftTriplet(nn.Module):
    """Soft-margin triplet loss with the hardest pairs of the batch."""

    def __init__(self, *, normalised: bool = False) -> None:
        """Compare unit directions where ``normalised``, else the features themselves."""
        super().__init__()
        self._normalised = normalised

    def forward(self, inputs: LossInputs) -> Tensor:
        """Apply :func:`soft_triplet`."""
        compared = inputs.unit if self._normalised else inputs.features
        return soft_triplet(compared, inputs.source, group=inputs.group)


def koleo(unit: Tensor, group: Tensor) -> Tensor:
    """Compute −mean ln ‖u_i − u_nearest‖ over rows, the nearest being of another group.

    The differential-entropy term of SSCD (Pizzi et al., CVPR 2022, eq. 4; Sablayrolles et al., ICLR
    2019).

    Args:
        unit: ``[B, D]`` unit rows.
        group: int64 ``[B]``.
    """
    same = group[:, None] == group[None, :]
    if bool(same.all()):
        return unit.sum() * 0.0
    nearest = (unit @ unit.T).masked_fill(same, -2.0).max(dim=1).values
    return -0.5 * torch.log((2 - 2 * nearest).clamp_min(1e-6)).mean()


class KoLeo(nn.Module):
    """Spread the originals over the sphere."""

    def forward(self, inputs: LossInputs) -> Tensor:
        """Apply :func:`koleo`."""
        return koleo(inputs.unit, inputs.group)
