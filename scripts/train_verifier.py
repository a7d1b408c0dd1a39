"""Fit the verifier's decision on photographs: edited copies against every kind of pair that only looks like one.

  python scripts/train_verifier.py PHOTOS [PHOTOS ...] --output asl/matching/verifier.json --evidence evidence.npz

Copies are photographs edited by the training recipes or by one edit of the catalogue, not by the held-out kinds of
scripts/make_benchmark.py (other parameters, other chains). What is no copy: the photographs' nearest neighbours by the
shipped model; reverse crops (the whole asked against its crop); reverse copies (the photograph asked against a picture
that it was framed or pasted in); and *frames*: the same scene a moment later, made from one photograph by moving what
is in front against what is behind (the camera pans and zooms, the subject moves and bends, what it uncovers is painted
in). Photographs that results are reported on must not be among PHOTOS.

The evidence of all pairs is collected once (--evidence keeps it), the decision is fitted and calibrated in
cross-validation over source photographs, and the thresholds go into the model's card.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from asl.data.catalog import Catalog, open_catalog
from asl.data.files import atomic_path, atomic_text
from asl.data.images import decode_image
from asl.edits import Edit, View
from asl.edits.catalogue import every_edit
from asl.edits.edit import OneOf
from asl.edits.hard_negatives import reverse_crop
from asl.edits.local import Elastic, OpticalDistortion, Swirl
from asl.edits.pool import Pool
from asl.edits.recipes import load_recipe
from asl.edits.views import view_rng
from asl.matching.evidence import examine
from asl.matching.fit import calibrate, fit_trees
from asl.matching.prepare import Prepared, prepare
from asl.matching.values import EVIDENCE, Settings
from asl.report.progress import progress_bar
from asl.types import AslError

RECIPES = {
    "disc_like": 0.35,
    "single": 0.25,  # one edit of the whole catalogue
    "moderate": 0.1,
    "sscd_advanced": 0.1,
    "lyakaap_v86": 0.1,
    "light": 0.1,
    "bent": 0.1,  # waves, lenses and swirls; not the grids of the benchmark
}
INSIDE = 0.75  # a copy that fills less of its picture stands inside another one: the photograph is no copy of that
STILL = 0.35  # share of the frames whose camera stands still
PRECISIONS = (0.5, 0.75, 0.9, 0.95, 0.99)
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Task:
    """One query made from photograph ``source``: ``copy``, ``reverse`` or ``frame``; and look-alikes of the source."""

    source: int
    number: int
    kind: str
    recipe: str
    neighbours: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Maker:
    """What a process needs to make queries and look at pairs."""

    catalogs: tuple[Catalog, ...]
    recipes: dict[str, Edit]
    seed: int
    settings: Settings

    def photo(self, row: int) -> Pixels:
        for catalog in self.catalogs:
            if row < len(catalog):
                return decode_image(catalog.read(row))
            row -= len(catalog)
        raise IndexError(row)

    def look(self, task: Task) -> list[tuple[npt.NDArray[np.float64], bool, str, int]]:
        """(evidence, is a copy, kind, source) of the query against its own reference and against the look-alikes."""
        rng = view_rng(key=f"verifier/{task.source}", seed=self.seed, number=task.number)
        photo = self.photo(task.source)
        query, reference = photo, photo
        if task.kind == "reverse":
            query, crop = reverse_crop(photo, key=f"{task.source}/{task.number}", seed=self.seed)
            reference = crop.image
        elif task.kind == "frame":
            query = next_frame(photo, rng)
        cover = 1.0
        if task.recipe:
            pool = Pool(_Others(self, task.source))
            view = self.recipes[task.recipe](View.original(query, foreign=pool), rng)
            query, cover = view.image, view.cover
        query = encoded(query, int(rng.integers(60, 96)))
        prepared = prepare(query, self.settings)
        looked = [(self._evidence(prepared, reference), task.kind == "copy", task.kind, task.source)]
        if task.kind == "copy" and cover < INSIDE:
            whole = prepare(photo, self.settings)
            looked.append((self._evidence(whole, query), False, "reverse copy", task.source))
        for row in task.neighbours:
            looked.append((self._evidence(prepared, self.photo(row)), False, "look-alike", task.source))
        return looked

    def _evidence(self, query: Prepared, reference: Pixels) -> npt.NDArray[np.float64]:
        return examine(query, prepare(reference, self.settings), self.settings).evidence.vector()


class _Others:
    """The other photographs, for overlays."""

    def __init__(self, maker: Maker, own: int) -> None:
        self._maker, self._own = maker, own
        self._count = sum(len(catalog) for catalog in maker.catalogs)

    def __len__(self) -> int:
        return self._count - 1

    def __getitem__(self, row: int) -> Pixels:
        return self._maker.photo(row + (row >= self._own))


def encoded(image: Pixels, quality: int) -> Pixels:
    """The image after one trip through JPEG."""
    data: Any = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded: Any = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return np.ascontiguousarray(decoded[:, :, ::-1])


def next_frame(image: Pixels, rng: np.random.Generator) -> Pixels:
    """The scene a moment later: the camera moves a little or stands still, one to three subjects move and bend.

    A subject is a smooth blob; what it uncovers is painted in. No global map takes the two images into each other.
    """
    still = rng.random() < STILL
    height, width = image.shape[:2]
    side = float(min(height, width))
    background, layers = image.copy(), []
    for _ in range(int(rng.integers(1, 4))):
        mask = blob(rng, height, width)
        hole = cv2.dilate((mask > 0.2).astype(np.uint8), np.ones((3, 3), np.uint8))
        small = (max(8, width // 2), max(8, height // 2))
        painted = cv2.inpaint(
            cv2.resize(background, small), cv2.resize(hole, small, interpolation=0), 3, cv2.INPAINT_TELEA
        )
        background = np.where(hole[..., None] > 0, cv2.resize(painted, (width, height)), background)
        layers.append(mask)
    moved = background.astype(np.float32) if still else warped(background, rng, side, shift=0.05, bend=0.006)
    reach = 0.25 if still else 0.11
    for mask in layers:
        layer = warped(
            np.dstack([image.astype(np.float32), 255 * mask]), rng, side, shift=reach, bend=0.02, least=0.025
        )
        alpha = layer[..., 3:] / 255
        moved = (moved * (1 - alpha) + layer[..., :3] * alpha).astype(np.float32)
    gain = rng.uniform(0.92, 1.08)
    return np.clip(moved * gain + rng.normal(0, rng.uniform(0, 4), moved.shape), 0, 255).astype(np.uint8)


def blob(rng: np.random.Generator, height: int, width: int) -> npt.NDArray[np.float32]:
    """A smooth 0..1 mask of 8 to 45 % of the picture, somewhere near the middle."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    centre = rng.uniform(0.25, 0.75, 2) * (width, height)
    radii = rng.uniform(0.15, 0.42, 2) * (width, height)
    angle = np.arctan2(y - centre[1], x - centre[0])
    wave = sum(rng.uniform(-0.15, 0.15) * np.cos(n * angle + rng.uniform(0, 6.3)) for n in (2, 3, 5))
    distance = np.hypot((x - centre[0]) / radii[0], (y - centre[1]) / radii[1])
    edge = 1.0 / (1.0 + np.exp(np.clip((distance - 1 - wave) * 25, -30, 30)))
    return np.asarray(edge, dtype=np.float32)


def warped(
    image: npt.NDArray[Any], rng: np.random.Generator, side: float, *, shift: float, bend: float, least: float = 0.0
) -> npt.NDArray[np.float32]:
    """Moved by up to ``shift`` of the side, turned, scaled, and bent smoothly by ``bend`` of the side (deviation)."""
    height, width = image.shape[:2]
    direction, length = rng.uniform(0, 2 * np.pi), rng.uniform(least, shift) * side
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), rng.normal(0, 2.5), float(np.exp(rng.normal(0, 0.04))))
    matrix[:, 2] += length * np.array([np.cos(direction), np.sin(direction)])
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    coarse = rng.normal(0, bend * side, (2, int(rng.integers(3, 6)), int(rng.integers(3, 6)))).astype(np.float32)
    flow = [cv2.resize(part, (width, height), interpolation=cv2.INTER_CUBIC) for part in coarse]
    map_x = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] + flow[0]
    map_y = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] + flow[1]
    border = cv2.BORDER_CONSTANT if image.shape[2] == 4 else cv2.BORDER_REFLECT
    drawn = cv2.remap(image, map_x.astype(np.float32), map_y.astype(np.float32), cv2.INTER_LINEAR, borderMode=border)
    return np.asarray(drawn, dtype=np.float32)


def neighbours(catalogs: tuple[Catalog, ...], count: int) -> npt.NDArray[np.int64]:
    """``[N, count]`` rows of the most similar other photographs; near-duplicates (cosine above 0.97) are left out."""
    import tempfile

    from asl.features import extract
    from asl.models import load_embedder

    embedder, vectors = load_embedder("asl_lite0"), []
    with tempfile.TemporaryDirectory() as folder:
        for number, catalog in enumerate(catalogs):
            store = extract(catalog, embedder, output=Path(folder) / str(number))
            if len(store.embeddings()) != len(catalog):
                raise AslError(f"{catalog.locate(0)} ...: some images are unreadable; take them out")
            vectors.append(store.embeddings().vectors)
    unit = np.concatenate(vectors)
    similar = unit @ unit.T
    similar[similar > 0.97] = -1.0  # itself and its duplicates
    return np.argsort(-similar, axis=1)[:, :count].astype(np.int64)


def plan(
    near: npt.NDArray[np.int64], *, queries: int, seed: int, reverse: float = 0.2, frames: float = 0.25
) -> Iterator[Task]:
    """So many queries a photograph."""
    rng = np.random.default_rng(seed)
    names, shares = list(RECIPES), np.array(list(RECIPES.values()))
    for source, number in np.ndindex(len(near), queries):
        kind = str(rng.choice(["copy", "reverse", "frame"], p=[1 - reverse - frames, reverse, frames]))
        recipe = str(rng.choice(names, p=shares / shares.sum()))
        if kind != "copy":
            recipe = str(rng.choice(["", "light", "moderate"], p=[0.5, 0.3, 0.2]))
        yield Task(source, number, kind, recipe, tuple(near[source].tolist()))


_MAKER: list[Maker] = []


def _start(maker: Maker) -> None:
    cv2.setNumThreads(1)
    _MAKER[:] = [maker]


def _look(task: Task) -> list[tuple[npt.NDArray[np.float64], bool, str, int]]:
    return _MAKER[0].look(task)


def collect(maker: Maker, tasks: list[Task], workers: int) -> dict[str, npt.NDArray[Any]]:
    """The evidence of all pairs."""
    looked: list[tuple[npt.NDArray[np.float64], bool, str, int]] = []
    spawn = get_context("spawn")
    with (
        ProcessPoolExecutor(workers, spawn, _start, (maker,)) as pool,
        progress_bar("looking", unit="queries") as update,
    ):
        for done, pairs in enumerate(pool.map(_look, tasks, chunksize=4), 1):
            looked += pairs
            update(done, len(tasks))
    evidence, copies, kinds, sources = zip(*looked, strict=True)
    return {
        "evidence": np.stack(evidence),
        "copy": np.array(copies),
        "kind": np.array(kinds),
        "source": np.array(sources),
        "names": np.array(EVIDENCE),
    }


def fit(found: dict[str, npt.NDArray[Any]], *, seed: int, card: dict[str, Any]) -> tuple[Any, npt.NDArray[np.float64]]:
    """The decision on all pairs, calibrated on out-of-fold answers; and those answers (probabilities)."""
    evidence, labels = found["evidence"], found["copy"]
    fold = np.random.default_rng(seed).integers(0, 5, int(found["source"].max()) + 1)[found["source"]]
    odds = np.empty(len(labels))
    for number in range(5):
        kept = fold != number
        odds[~kept] = fit_trees(evidence[kept], labels[kept], seed=seed).log_odds(evidence[~kept])
    model = calibrate(fit_trees(evidence, labels, seed=seed, card=card), odds, labels)
    return model, 1 / (1 + np.exp(-(model.slope * odds + model.offset)))


def thresholds(probability: npt.NDArray[np.float64], labels: npt.NDArray[np.bool_]) -> list[dict[str, float]]:
    """The lowest out-of-fold probability above which each precision holds, with the recall there."""
    order = np.argsort(-probability, kind="stable")
    right = np.cumsum(labels[order])
    precision = right / np.arange(1, len(order) + 1)
    rows = []
    for wanted in PRECISIONS:
        held = np.flatnonzero(precision >= wanted)
        if len(held):
            recall = float(right[held[-1]] / labels.sum())
            rows.append({"precision": wanted, "threshold": float(probability[order[held[-1]]]), "recall": recall})
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--evidence", type=Path, help="keep the evidence here, or read it where it is there")
    parser.add_argument("--queries", type=int, default=2, help="queries made of each photograph")
    parser.add_argument("--neighbours", type=int, default=2, help="look-alikes beside each")
    parser.add_argument("--data", default="", help="the photographs and their licence, for the card")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    try:
        run(options)
    except AslError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def run(options: argparse.Namespace) -> None:
    """Collect, fit, write, say."""
    if options.evidence and options.evidence.exists():
        found = dict(np.load(options.evidence))
        if found["names"].tolist() != list(EVIDENCE):
            raise AslError(f"{options.evidence}: was collected by another version; remove it")
    else:
        catalogs = tuple(open_catalog(folder) for folder in options.photos)
        recipes = {name: load_recipe(name) for name in RECIPES if name not in ("single", "bent")}
        recipes["single"] = OneOf(list(every_edit().values()))
        recipes["bent"] = OneOf([Elastic(), OpticalDistortion(), Swirl()])
        tasks = list(plan(neighbours(catalogs, options.neighbours), queries=options.queries, seed=options.seed))
        found = collect(Maker(catalogs, recipes, options.seed, Settings()), tasks, options.workers)
        if options.evidence:
            with atomic_path(options.evidence) as path, path.open("wb") as file:
                np.savez(file, **found)  # type: ignore[arg-type]
    kinds, counts = np.unique(found["kind"], return_counts=True)
    card: dict[str, Any] = {
        "data": options.data,
        "command": "python scripts/train_verifier.py",
        "options": {name: getattr(options, name) for name in ("queries", "neighbours", "seed")},
        "recipes": RECIPES,
        "pairs": dict(zip(kinds.tolist(), counts.tolist(), strict=True)),
    }
    model, probability = fit(found, seed=options.seed, card=card)
    model.card["thresholds"] = thresholds(probability, found["copy"])
    with atomic_text(options.output) as file:
        file.write(model.to_json())
    for row in model.card["thresholds"]:
        print("precision {precision:.2f}: threshold {threshold:.4f}, recall {recall:.3f}".format(**row))
    for kind in kinds.tolist():
        chosen = probability[found["kind"] == kind]
        print(
            f"{kind}: {len(chosen)} pairs, probability deciles {np.quantile(chosen, [0.1, 0.5, 0.9]).round(3).tolist()}"
        )


if __name__ == "__main__":
    sys.exit(main())
