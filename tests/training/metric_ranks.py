"""Each process of torchrun scores its own queries; the first prints what all of them computed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from torch import distributed


def main() -> None:
    from tests.training.test_torch_metric import metric, scored

    distributed.init_process_group("gloo")
    rank = distributed.get_rank()
    joined, alone = metric(), metric()  # of the second, one process has nothing
    queries, references, scores = scored()
    # A sampler that fills the last batch: both processes have query 2.
    own = (queries % 2 == rank) | (queries == 2)
    joined.update(queries[own], references[own], scores[own])
    if rank == 0:
        alone.update(queries, references, scores)
    computed = [
        {name: float(value) for name, value in one.compute().items()} for one in (joined, alone)
    ]
    if rank == 0:
        print(json.dumps(computed))
    distributed.destroy_process_group()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    torch.set_num_threads(1)
    main()
