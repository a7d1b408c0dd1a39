"""Damage to bytes, as disks, networks and hands do it: drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable

Mutation = Callable[[random.Random, bytearray], bytearray]


def flip_bits(rng: random.Random, data: bytearray) -> bytearray:
    """Flip one to eight bits."""
    for _ in range(rng.randint(1, 8)):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data


def replace_byte(rng: random.Random, data: bytearray) -> bytearray:
    """Set one byte to an extreme or any value."""
    data[rng.randrange(len(data))] = rng.choice([0, 1, 127, 128, 255, rng.randrange(256)])
    return data


def truncate(rng: random.Random, data: bytearray) -> bytearray:
    """Cut the end off."""
    return data[: rng.randrange(len(data))]


def swap_blocks(rng: random.Random, data: bytearray) -> bytearray:
    """Exchange two blocks of one size."""
    size = rng.randint(1, max(1, min(4096, len(data) // 4)))
    first, second = (rng.randrange(len(data) - size + 1) for _ in range(2))
    one, other = data[first : first + size], data[second : second + size]
    data[first : first + size] = other
    data[second : second + size] = one
    return data


def zero_range(rng: random.Random, data: bytearray) -> bytearray:
    """Overwrite a range with zeros, as a file system does after a crash."""
    size = rng.randint(1, max(1, min(4096, len(data) // 4)))
    start = rng.randrange(len(data) - size + 1)
    data[start : start + size] = bytes(size)
    return data


def add_bytes(rng: random.Random, data: bytearray) -> bytearray:
    """Insert random bytes, at the end half of the time."""
    place = len(data) if rng.random() < 0.5 else rng.randrange(len(data) + 1)
    data[place:place] = rng.randbytes(rng.randint(1, 64))
    return data


def repeat_range(rng: random.Random, data: bytearray) -> bytearray:
    """Insert a range of the file a second time."""
    size = rng.randint(1, max(1, min(512, len(data) // 4)))
    start = rng.randrange(len(data) - size + 1)
    place = rng.randrange(len(data) + 1)
    data[place:place] = data[start : start + size]
    return data


MUTATIONS: tuple[Mutation, ...] = (
    flip_bits,
    replace_byte,
    truncate,
    swap_blocks,
    zero_range,
    add_bytes,
    repeat_range,
)


def mutated(rng: random.Random, data: bytes) -> tuple[str, bytes]:
    """Return the name of a mutation and the changed bytes, which differ from ``data``."""
    while True:
        mutation = rng.choice(MUTATIONS)
        changed = bytes(mutation(rng, bytearray(data)))
        if changed != data:
            return mutation.__name__, changed
