"""Two processes compare sharded class losses with whole ones in double precision; run by torchrun.

Prints the largest differences of loss, gradients and trained weights as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed

CLASSES, DIM, ROWS = 7, 5, 6
KINDS = ("CosFace", "ArcFace", "SmoothedCrossEntropy")


def batch(seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(ROWS, DIM, generator=generator, dtype=torch.float64)
    return rows, torch.randint(CLASSES, (ROWS,), generator=generator)


def run(loss: Any, groups: Tensor | None, *, steps: int = 5) -> list[tuple[Tensor, ...]]:
    """Train the class weights and the rows themselves; values of every step."""
    from asl.losses import LossInputs

    loss.weight.data = loss.weight.data.double()
    optimizer = torch.optim.Adam(loss.parameters(), lr=0.05)
    seen = []
    for step in range(steps):
        rows, source = batch(step)
        rows.requires_grad_()
        value = loss(LossInputs(rows, source, groups=groups))
        optimizer.zero_grad()
        value.backward()
        seen.append((value.detach(), rows.grad, loss.weight.grad.clone()))
        optimizer.step()
    return [*seen, (loss.weight.detach(),)]


def main() -> None:
    from asl.losses import classification

    distributed.init_process_group("gloo")
    rank = distributed.get_rank()
    groups = torch.tensor([0, 1, 0, 3, 4, 1, 1])
    worst: dict[str, float] = {}
    for kind in KINDS:
        for given in (None, groups):
            torch.manual_seed(0)
            whole = getattr(classification, kind)(classes=CLASSES, dim=DIM)
            torch.manual_seed(0)
            part = getattr(classification, kind)(classes=CLASSES, dim=DIM, sharded=True)
            assert part.weight.is_meta
            part.keep_shard(rank, 2)
            rows = slice(part.shard.start, part.shard.stop)
            expected, found = run(whole, given), run(part, given)
            for (value, features, weights), (own, own_features, own_weights) in zip(
                expected[:-1], found[:-1], strict=True
            ):
                for name, difference in (
                    ("loss", value - own),
                    ("features", features - own_features),
                    ("weights", weights[rows] - own_weights),
                ):
                    key = f"{kind} {name}"
                    worst[key] = max(worst.get(key, 0.0), float(difference.abs().max()))
            trained = expected[-1][0][rows] - found[-1][0]
            key = f"{kind} trained"
            worst[key] = max(worst.get(key, 0.0), float(trained.abs().max()))
    every: list[Any] = [None, None]
    distributed.all_gather_object(every, worst)
    if rank == 0:
        print(json.dumps({key: max(one[key] for one in every) for key in worst}))
    distributed.destroy_process_group()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    main()
