"""List the look-alikes of a folder of photographs: hard-negative pairs to train on.

  python -m asl.extract images=PHOTOS output=store
  python scripts/mine_look_alikes.py store pairs.csv
  python -m asl.train data=folder data.train=PHOTOS data.hard_pairs=pairs.csv

Any model may have made the store. A pair has a cosine between --least and --most: nearer pairs are
often copies, and a copy used as a negative teaches the wrong thing. Run `asl scan PHOTOS` first if
the folder may contain copies.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from asl.data.hard_pair_lists import write_hard_pairs
from asl.edits.hard_negatives import look_alikes
from asl.features.feature_store import FeatureStore
from asl.types import AslError


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--least", type=float, default=0.4, help="smallest cosine (%(default)s)")
    parser.add_argument("--most", type=float, default=0.9, help="largest cosine (%(default)s)")
    parser.add_argument(
        "--neighbours", type=int, default=5, help="nearest of each image looked at (%(default)s)"
    )
    parser.add_argument(
        "--per-image", type=int, default=1, help="pairs that an image may be in (%(default)s)"
    )
    options = parser.parse_args()
    try:
        found = look_alikes(
            FeatureStore.open(options.store).embeddings(),
            neighbours=options.neighbours,
            least=options.least,
            most=options.most,
            per_image=options.per_image,
        )
        if not found:
            raise AslError(
                f"{options.store}: no pair with a cosine in {options.least}..{options.most}"
            )
        write_hard_pairs([(pair.first, pair.second) for pair in found], options.output)
    except (AslError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    low, middle, high = np.quantile([pair.cosine for pair in found], [0.0, 0.5, 1.0])
    print(
        f"{len(found)} pairs in {options.output}; cosines {low:.2f} to {high:.2f}, "
        f"median {middle:.2f}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
