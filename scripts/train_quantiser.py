"""Train the quantiser of the coded index of local features, and write it with its card.

  python scripts/train_quantiser.py asl/matching/candidates/sift_quantiser.safetensors \
      --photos "Caltech-101 (CC BY 4.0)=CALTECH" --photos "clothing data set (CC0 1.0)=CLOTHING"

Principal axes of the largest local features of the photographs, a tree of 256 x 256 centroids on
them (k-means twice), and a random rotation of the residuals. Everything is rounded to integers, so
that codes are the same on every machine.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from asl.console.progress import progress_bar
from asl.data.catalog import Catalog, CatalogLoader, open_catalog
from asl.index.engines.faiss_flat import load_faiss
from asl.matching.candidates.local_features import Reader, read_features
from asl.matching.candidates.quantiser import Quantiser, load_quantiser, save_quantiser
from asl.types import F32, U8, AslError

AXES = 64
BITS = 128
ROOTS = LEAVES = 256
FEATURES_PER_IMAGE = 300
SAMPLE = 200_000  # features that mean, axes and the unit come from
OUTSIDE = 1e-3  # share of values on the first axis that -127..127 may cut
SEED = 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", type=Path)
    parser.add_argument("--photos", action="append", required=True, metavar="NAME=FOLDER")
    options = parser.parse_args()
    try:
        catalogs = {}
        for text in options.photos:
            name, _, folder = text.partition("=")
            if not Path(folder).is_dir():
                raise AslError(f"--photos: expected NAME=FOLDER of an existing folder, got {text}")
            catalogs[name] = open_catalog(folder)
        descriptors = np.concatenate(
            [part for catalog in catalogs.values() for part in largest_features(catalog)]
        )
        quantiser = train(descriptors, card_of(catalogs, len(descriptors)))
        save_quantiser(options.output, quantiser)
        print(f"{options.output}: {load_quantiser(options.output).id}")
    except AslError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def card_of(catalogs: dict[str, Catalog], features: int) -> str:
    photographs = ", ".join(f"{len(catalog):,} of {name}" for name, catalog in catalogs.items())
    return (
        f"Quantiser of RootSIFT features: {AXES} axes, {ROOTS} x {LEAVES} lists, {BITS} bits. "
        f"Trained by scripts/train_quantiser.py on {features:,} features of photographs: "
        f"{photographs}. Licence: MIT. Derived numbers only; no picture can be read from them."
    )


def largest_features(catalog: Catalog) -> Iterator[U8]:
    """Yield the descriptors of the largest features of each image."""
    reader = Reader(CatalogLoader.of(catalog))
    with progress_bar("local features", unit="images") as progress:
        found = read_features(reader, catalog.ids.tolist(), workers=1)
        for done, (_, features) in enumerate(found, start=1):
            progress(done, len(catalog))
            if not isinstance(features, str):
                yield features.largest(FEATURES_PER_IMAGE).descriptors


def train(descriptors: U8, card: str) -> Quantiser:
    """Fit axes, tree and rotation to descriptors, uint8 ``[N, D]``."""
    rng = np.random.default_rng(SEED)
    sample = descriptors[rng.permutation(len(descriptors))[:SAMPLE]].astype(np.float32)
    mean = np.rint(sample.mean(axis=0))
    _, vectors = np.linalg.eigh(np.cov((sample - mean).T))
    axes = as_integers(vectors[:, ::-1][:, :AXES])
    first = np.abs((sample - mean) @ axes[:, 0])
    unit = float(np.ceil(np.quantile(first, 1 - OUTSIDE) / 127))
    tree = Quantiser(
        mean.astype(np.float32),
        axes,
        unit,
        np.zeros((1, AXES), np.float32),
        np.zeros((1, 1, AXES), np.float32),
        as_integers(rotations(rng)),
        card,
    )
    projected = np.concatenate(
        [
            tree.project(descriptors[start : start + SAMPLE])
            for start in range(0, len(descriptors), SAMPLE)
        ]
    )
    roots = centroids(projected, ROOTS)
    nearest = load_faiss().IndexFlatL2(AXES)
    nearest.add(roots)
    owner = nearest.search(projected, 1)[1][:, 0]
    leaves = np.stack([centroids(projected[owner == root], LEAVES) for root in range(ROOTS)])
    return Quantiser(tree.mean, axes, unit, roots, leaves, tree.rotation, card)


def rotations(rng: np.random.Generator) -> F32:
    """Random rotations side by side, ``[AXES, BITS]``: more bits than axes."""
    blocks = [np.linalg.qr(rng.standard_normal((AXES, AXES)))[0] for _ in range(BITS // AXES)]
    return np.concatenate(blocks, axis=1).astype(np.float32)


def as_integers(values: F32) -> F32:
    """Scale to -127..127 and round."""
    return np.rint(values * (127 / np.abs(values).max())).astype(np.float32)


def centroids(points: F32, count: int) -> F32:
    """Return ``count`` centroids of points by k-means, rounded to integers in -127..127."""
    missing = count - len(points)
    if missing > 0:  # too few for so many: some stand twice
        points = np.concatenate([points, points[np.arange(missing) % len(points)]])
    faiss = load_faiss()
    kmeans = faiss.Kmeans(
        points.shape[1],
        count,
        niter=10,
        seed=SEED + 1,
        min_points_per_centroid=1,
        max_points_per_centroid=400,
    )
    kmeans.train(np.ascontiguousarray(points))
    return np.clip(np.rint(kmeans.centroids), -127, 127).astype(np.float32)


if __name__ == "__main__":
    sys.exit(main())
