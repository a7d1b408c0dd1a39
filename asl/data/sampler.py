"""Which sources meet in one batch: P identities in random order, then whole hard-negative pairs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from asl.data.training_set import Draw, HardPairs
from asl.types import AslError


class IdentityBatches(Sampler[list[Draw]]):
    """The batches of one epoch: every source once, in an order that depends on (seed, epoch) alone.

    A batch has ``identities`` sources; the last ``2 * pairs`` of them are hard pairs, drawn anew in every batch.
    Sources left over at the end, too few for a batch, wait for another epoch's order. Over ``world`` processes the
    joined batches are those of one process with ``world`` times the identities.
    """

    def __init__(
        self,
        sources: int,
        *,
        identities: int,
        epoch: int,
        seed: int = 0,
        hard_pairs: HardPairs | None = None,
        pairs: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        """Plan an epoch.

        Args:
            sources: number of training images.
            identities: sources in a batch of one process, hard pairs included.
            epoch: whose order.
            seed: of the order.
            hard_pairs: look-alikes to draw from.
            pairs: how many of them a batch of one process holds (each is two identities).
            rank: this process.
            world: number of processes.

        Raises:
            AslError: a batch cannot be filled.
        """
        singles = identities - 2 * pairs
        if pairs and not (hard_pairs and len(hard_pairs)):
            raise AslError(f"pairs: {pairs} hard pairs a batch are asked for, but there are none; set data.pairs=0")
        if singles < 1 or identities < 2:
            raise AslError(f"identities: {identities} a batch leave no room for single sources beside {pairs} pair(s)")
        if sources < singles * world:
            raise AslError(
                f"identities: a batch takes {singles * world} training images, there are {sources}; "
                "give more images or lower data.identities"
            )
        self._epoch, self._rank, self._hard_pairs = epoch, rank, hard_pairs
        rng = np.random.default_rng([seed, epoch])
        steps = sources // (singles * world)
        self._order = rng.permutation(sources)[: steps * singles * world].reshape(steps, world, singles)
        drawn = len(hard_pairs) if hard_pairs else 1
        self._pairs = rng.integers(drawn, size=(steps, world, pairs))

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[list[Draw]]:
        for singles, chosen in zip(self._order[:, self._rank], self._pairs[:, self._rank], strict=True):
            draws = [Draw(row, self._epoch) for row in singles.tolist()]
            if self._hard_pairs is not None:
                for pair in chosen.tolist():
                    directed = bool(self._hard_pairs.directed[pair])
                    draws += [Draw(row, self._epoch, True, directed) for row in self._hard_pairs.rows[pair].tolist()]
            yield draws
