"""Settings of an extraction."""

from __future__ import annotations

from dataclasses import dataclass

from asl.shared_defaults import BATCH_SIZE, MAX_FAILURE_RATE, SHARD_SIZE
from asl.types import AslError


@dataclass(frozen=True)
class EmbedOptions:
    """Settings of an extraction.

    Attributes:
        batch_size: pictures per forward pass.
        workers: processes that decode; 0 decodes in this one. None: 0 with a model on the CPU,
            which needs the cores itself, one per core (8 at most) with a GPU.
        device: ``auto``, ``cpu``, ``cuda`` ...
        shard_size: images per shard, the most that a kill can lose.
        max_failure_rate: share of unreadable images above which the run stops, 0..1; fewer than 20
            images may have as many failures as 20, but not all.
        fast_decode: decode large JPEGs at a fraction of their size, at least twice the network's
            input; recorded in the store, and only stores that agree in it belong together.
    """

    batch_size: int = BATCH_SIZE
    workers: int | None = None
    device: str = "auto"
    shard_size: int = SHARD_SIZE
    max_failure_rate: float = MAX_FAILURE_RATE
    fast_decode: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.max_failure_rate <= 1 or self.batch_size < 1 or self.shard_size < 1:
            raise AslError(
                f"extract: batch_size={self.batch_size} and shard_size={self.shard_size} must be 1 "
                f"or more, max_failure_rate={self.max_failure_rate:g} in 0..1"
            )
