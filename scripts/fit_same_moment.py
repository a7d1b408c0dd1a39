r"""Fit the probability that two images are shots of one moment: neither copies nor strangers.

  python scripts/train_verifier.py PHOTOS [PHOTOS ...] --drawn DRAWN --evidence evidence.npz \
      --output decision.json
  python scripts/fit_same_moment.py evidence.npz PHOTOS [PHOTOS ...] \
      --output asl/matching/same_moment.json

Positive pairs are the *frames* of the evidence: one scene a moment later, made from a photograph;
and as many calm ones, made here from PHOTOS, whose background stays as it was. Negative ones are
all others: copies, look-alikes, reverse crops, pairs in one mount or of one drawn template. Pairs
that do not align are left out, as the verifier leaves them out. The model is calibrated in
cross-validation over source photographs.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from train_verifier import in_processes, pair_weights
from verifier_queries import CALM, next_frame

from asl.data.catalog import Catalog, open_catalog
from asl.data.images import decode_image
from asl.edits.engine.make_views import view_rng
from asl.matching import Verifier
from asl.matching.decision.fit_trees import calibrate, fit_trees
from asl.matching.decision.trees import TreeModel
from asl.matching.values import EVIDENCE
from asl.storage import atomic_text
from asl.types import F64, AslError, Bools

FOLDS = 5
FRAME = "frame"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("evidence", type=Path, help="written by scripts/train_verifier.py")
    parser.add_argument("photos", nargs="+", help="folders for the calm frames")
    parser.add_argument(
        "--every", type=int, default=6, help="one calm frame of so many photographs (%(default)s)"
    )
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--trees", type=int, default=120)
    parser.add_argument("--leaves", type=int, default=15)
    parser.add_argument(
        "--data", default="", help="the photographs and their licence, for the card"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    try:
        found = with_calm_frames(read_evidence(options.evidence), options)
        model, probability = fit(found, options)
        with atomic_text(options.output) as file:
            file.write(model.to_json())
    except (AslError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    report(found["kind"], probability)
    return 0


def read_evidence(path: Path) -> dict[str, Any]:
    """Read the pairs that align.

    Raises:
        AslError: the file is of another version, or holds no frames.
    """
    found = dict(np.load(path))
    if found.pop("names").tolist() != list(EVIDENCE):
        raise AslError(f"{path}: was collected by another version; remove it and collect it again")
    aligned = found["evidence"][:, EVIDENCE.index("aligned")] > 0
    found = {name: values[aligned] for name, values in found.items()}
    if not np.any(found["kind"] == FRAME):
        raise AslError(f"{path}: has no pair of the kind {FRAME!r}; collect it from photographs")
    return found


@dataclass(frozen=True, eq=False)
class CalmFrames:
    """Measures a photograph against its next frame, either of them as the query."""

    photos: tuple[Catalog, ...]
    seed: int
    verifier: Verifier = field(default_factory=Verifier)

    def __call__(self, place: tuple[int, int]) -> F64:
        catalog, row = place
        image = decode_image(self.photos[catalog].read(row))
        rng = view_rng(key=f"calm/{catalog}/{row}", seed=self.seed, number=0)
        frame = next_frame(image, rng, CALM)
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(75, 98))]
        data: Any = cv2.imencode(".jpg", np.ascontiguousarray(frame[:, :, ::-1]), quality)[1]
        pair = [self.verifier.prepare(picture) for picture in (image, decode_image(data.tobytes()))]
        first, second = pair if rng.random() < 0.5 else pair[::-1]
        return self.verifier.verify_prepared(first, second).evidence.vector()


def with_calm_frames(found: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Add calm frames to the pairs, each of a source of its own."""
    photos = tuple(open_catalog(folder) for folder in options.photos)
    places = [
        (number, row)
        for number, catalog in enumerate(photos)
        for row in range(0, len(catalog), options.every)
    ]
    work = CalmFrames(photos, options.seed)
    evidence = np.stack(in_processes(work, places, options.workers, "calm frames"))
    evidence = evidence[evidence[:, EVIDENCE.index("aligned")] > 0]
    return {
        "evidence": np.concatenate([found["evidence"], evidence]),
        "kind": np.concatenate([found["kind"], np.full(len(evidence), FRAME)]),
        "source": np.concatenate(
            [found["source"], found["source"].max() + 1 + np.arange(len(evidence))]
        ),
    }


def fit(found: dict[str, Any], options: argparse.Namespace) -> tuple[TreeModel, F64]:
    """Fit the model; return it with the out-of-fold probability of each pair."""
    evidence, labels = found["evidence"], found["kind"] == FRAME
    folds = np.random.default_rng(options.seed).integers(0, FOLDS, int(found["source"].max()) + 1)
    fold = folds[found["source"]]
    kinds, counts = np.unique(found["kind"], return_counts=True)
    card = {
        "data": options.data,
        "licence": "MIT",
        "command": "python scripts/fit_same_moment.py",
        "pairs": dict(zip(kinds.tolist(), counts.tolist(), strict=True)),
    }

    def fitted(rows: Bools) -> TreeModel:
        return fit_trees(
            evidence[rows],
            labels[rows],
            weights=pair_weights(found["kind"][rows]),
            monotone={},
            trees=options.trees,
            leaves=options.leaves,
            seed=options.seed,
            card=card,
        )

    odds = np.empty(len(labels))
    for number in range(FOLDS):
        held = fold == number
        odds[held] = fitted(~held).log_odds(evidence[held])
    model = calibrate(fitted(labels | True), odds, labels)
    return model, 1 / (1 + np.exp(-(model.slope * odds + model.offset)))


def report(kinds: Any, probability: F64) -> None:
    """Say how many pairs of each kind are taken for frames."""
    for kind in np.unique(kinds).tolist():
        chosen = probability[kinds == kind]
        print(f"{kind}: {len(chosen)} aligned pairs, {np.mean(chosen >= 0.5):.3f} from .5 on")


if __name__ == "__main__":
    sys.exit(main())
