"""Compose batches: P identities in random order, then whole hard-negative pairs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler

from asl.counts import counted
from asl.data.training_set import Draw, HardPairs
from asl.types import I64, AslError


class Position(NamedTuple):
    """Next batch to train on: ``batch`` (0-based) of ``epoch``, in batches of one process."""

    epoch: int
    batch: int


class IdentityBatches(Sampler[list[Draw]]):
    """The batches of one epoch: every source once, in an order that depends on (seed, epoch) alone.

    A batch has ``identities`` sources; the last ``2 * pairs`` of them are hard pairs. They come in
    rounds: each once in a random order, then each once in another, over the ends of epochs, so that
    all come equally often. Sources left over at the end, too few for a batch, wait for another
    epoch's order. Over ``world`` processes the joined batches are those of one process with
    ``world`` times the identities.
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
        start: int = 0,
    ) -> None:
        """Plan an epoch.

        Args:
            sources: number of training images.
            identities: sources in a batch of one process, hard pairs included.
            epoch: whose order.
            seed: of the order.
            hard_pairs: look-alikes to go through.
            pairs: how many of them a batch of one process holds (each is two identities).
            rank: this process.
            world: number of processes.
            start: batch to begin with, where an epoch is resumed; the length stays the epoch's.

        Raises:
            AslError: a batch cannot be filled.
        """
        singles = identities - 2 * pairs
        if pairs and not (hard_pairs and len(hard_pairs)):
            raise AslError(
                f"data.pairs: {counted(pairs, 'hard pair')} per batch asked for, but there are "
                "none; set data.pairs=0"
            )
        if singles < 1 or identities < 2:
            raise AslError(
                f"data.identities: {identities} per batch leave no room for single sources beside "
                f"{counted(pairs, 'pair')}; raise data.identities or lower data.pairs"
            )
        if sources < singles * world:
            raise AslError(
                f"data.identities: a batch takes {counted(singles * world, 'training image')}, "
                f"there are {sources}; give more images or lower it"
            )
        self._epoch = epoch
        self._rank = rank
        self._start = start
        self._hard_pairs = hard_pairs or HardPairs(
            np.empty((0, 2), np.int64), np.empty(0, np.bool_)
        )
        rng = np.random.default_rng([seed, epoch])
        steps = sources // (singles * world)
        self._order = rng.permutation(sources)[: steps * singles * world].reshape(
            steps, world, singles
        )
        drawn = steps * world * pairs
        chosen = _in_rounds(len(self._hard_pairs), start=epoch * drawn, count=drawn, seed=seed)
        self._pairs = chosen.reshape(steps, world, pairs)
        # Numbers of draws in the epoch; 0 is for single sources.
        self._numbers = np.arange(1, drawn + 1).reshape(steps, world, pairs)

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[list[Draw]]:
        yield from islice(self._batches(), self._start, None)

    def _batches(self) -> Iterator[list[Draw]]:
        parts = (part[:, self._rank] for part in (self._order, self._pairs, self._numbers))
        for singles, pairs, numbers in zip(*parts, strict=True):
            draws = [Draw(row, self._epoch) for row in singles.tolist()]
            for pair, number in zip(pairs.tolist(), numbers.tolist(), strict=True):
                draws += self._members(pair, number)
            yield draws

    def _members(self, pair: int, number: int) -> list[Draw]:
        directed = bool(self._hard_pairs.directed[pair])
        # As classes a pair is two sources in one batch; losses do not know that they are a pair.
        paired = self._hard_pairs.role != "classes"
        return [
            Draw(row, self._epoch, paired, directed, number)
            for row in self._hard_pairs.rows[pair].tolist()
        ]


def _in_rounds(length: int, *, start: int, count: int, seed: int) -> I64:
    """Return items ``start`` to ``start + count`` of repeated permutations of ``range(length)``."""
    if not count:
        return np.empty(0, np.int64)
    first = start // length
    last = (start + count - 1) // length
    rounds = [
        np.random.default_rng([seed, number, 1]).permutation(length)
        for number in range(first, last + 1)
    ]
    return np.concatenate(rounds)[start - first * length :][:count]
