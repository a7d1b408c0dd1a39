r"""Fit the verifier's decision on photographs: edited copies against look-alikes of every kind.

  python scripts/draw_material.py DRAWN --templates 8 --number 8 --fonts sans
  python scripts/train_verifier.py PHOTOS [PHOTOS ...] --drawn DRAWN --evidence evidence.npz \
      --output asl/matching/verifier.json

Copies are photographs edited by the training recipes and by edits of the catalogue, not by the
held-out kinds of scripts/make_benchmark.py (other parameters, other chains). Negatives are: the
candidates that the shipped model and local features retrieve among the other photographs; reverse
crops (the whole as the query, its crop as the reference); reverse copies (the photograph as the
query, a picture that it was framed or pasted in as the reference); other photographs in the same
frame template (border, letterbox, bar, text, sticker, screenshot); and *frames*: the same scene a
moment later, made from one photograph by moving the foreground against the background (the camera
pans and zooms or stands still, the subject moves and bends, uncovered areas are inpainted); and,
of drawn pages, slides and screens (--drawn), others of the same template.
Photographs that results are reported on must not be among PHOTOS.

The evidence of all pairs is collected once (--evidence stores it), the decision is fitted and
calibrated in cross-validation over source photographs, and the thresholds go into the model's card.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from cachetools import LRUCache
from verifier_queries import (
    MOUNTED,
    MOUNTS,
    RECIPES,
    Maker,
    Pixels,
    Task,
    plan,
    recipes,
    sources_of,
)

from asl.console.progress import progress_bar
from asl.data.catalog import Catalog, CatalogLoader, open_catalog, subset
from asl.data.images import decode_image
from asl.features import extract
from asl.matching import Verifier
from asl.matching.align.prepare import Prepared
from asl.matching.candidates.learned_candidates import LEARNED
from asl.matching.candidates.local_candidates import FeatureKind, local_candidates
from asl.matching.candidates.local_features import SIFT
from asl.matching.decision.fit_trees import average_trees, calibrate, fit_trees, refine_trees
from asl.matching.decision.trees import TreeModel, load_model
from asl.matching.values import EVIDENCE
from asl.models import load_embedder
from asl.parallel import spawned_map
from asl.shared_defaults import MODEL
from asl.storage import atomic_path, atomic_text
from asl.types import AslError

# a copy that fills less of its picture stands inside another one: the photograph is no copy of that
INSIDE = 0.75
TWINS = 0.97  # cosine from which on two photographs may be one
MOUNT_WEIGHT = 0.5  # of pairs in one mount: a seventh of all pairs here, fewer in people's folders
PREPARED = 400  # pictures that a process keeps, about 1 MB each
PRECISIONS = (0.5, 0.75, 0.9, 0.95, 0.99)
Looked = tuple[npt.NDArray[np.float64], bool, str, int]  # evidence, is a copy, kind, source


@dataclass(frozen=True, eq=False)
class Looker:
    """Makes queries in a folder and looks at their pairs."""

    maker: Maker
    folder: Path
    verifier: Verifier
    # Most pictures are references of several queries.
    recent: LRUCache[int, Prepared] = field(default_factory=lambda: LRUCache(PREPARED))

    def write(self, task: Task) -> float:
        """Make the query of a task; the share of it that comes from its photograph."""
        data, cover = self.maker.query(task)
        (self.folder / f"{task.name}.jpg").write_bytes(data)
        return cover

    def look(self, job: tuple[Task, float, tuple[int, ...]]) -> list[Looked]:
        """The query of a task against its own reference, and against other photographs."""
        task, cover, others = job
        query = self._prepared(decode_image(self.folder / f"{task.name}.jpg"))
        reference = self._prepared(self.maker.reference(task))
        own = self.verifier.verify_prepared(query, reference)
        looked: list[Looked] = [
            (own.evidence.vector(), task.kind == "copy", task.kind, task.source)
        ]
        if task.kind == "copy" and cover < INSIDE:
            back = self.verifier.verify_prepared(reference, query)
            looked.append((back.evidence.vector(), False, "reverse copy", task.source))
        template = self.maker.template(task.source)
        for row in others:
            other = (
                self._prepared(self.maker.reference(task, row))
                if task.mounted
                else self._photo(row)
            )
            verdict = self.verifier.verify_prepared(query, other)
            if verdict.probability <= 0.5 or not self._are_twins(task.source, row):
                kind = "same mount" if task.mounted else "look-alike"
                if self.maker.template(row) and self.maker.template(row) == template:
                    kind = "same template"
                looked.append((verdict.evidence.vector(), False, kind, task.source))
        return looked

    def _are_twins(self, source: int, row: int) -> bool:
        """Whether two photographs of the collection are one, which no label says.

        Drawn pictures are all different.
        """
        if max(source, row) >= self.maker.first_drawn:
            return False
        found = self.verifier.verify_prepared(self._photo(source), self._photo(row))
        return found.probability > 0.9

    def _photo(self, row: int) -> Prepared:
        if row not in self.recent:
            self.recent[row] = self._prepared(self.maker.photo(row))
        return self.recent[row]

    def _prepared(self, image: Pixels) -> Prepared:
        return self.verifier.prepare(image)


@dataclass(frozen=True, eq=False)
class Photos:
    """Loads photographs by their row, as text."""

    maker: Maker

    def __call__(self, name: str) -> Pixels:
        return self.maker.photo(int(name))


def propose(
    looker: Looker, tasks: list[Task], rows: list[int], *, each: int, workers: int
) -> list[tuple[int, ...]]:
    """Retrieve ``each`` candidates per query by embeddings, and by each kind of local features."""
    queries, names = open_catalog(looker.folder, id_style="stem"), [task.name for task in tasks]
    embedder, unit = load_embedder(MODEL), []
    with tempfile.TemporaryDirectory() as folder:
        for number, catalog in enumerate([queries, *looker.maker.catalogs]):
            with progress_bar("embedding", unit="images") as progress:
                store = extract(
                    catalog, embedder, output=Path(folder) / str(number), progress=progress
                )
            if len(store.embeddings()) != len(catalog):
                raise AslError(
                    f"{catalog.locate(0)} ...: some images are unreadable; take them out"
                )
            unit.append(store.embeddings().vectors)
    place = {name: row for row, name in enumerate(queries.ids.tolist())}
    photos = np.concatenate(unit[1:])
    sources = photos[[task.source for task in tasks]] @ photos[rows].T
    similar = unit[0][[place[name] for name in names]] @ photos[rows].T
    own = np.array([task.source for task in tasks])[:, None] == np.array(rows)[None]
    drawn = np.array(rows)[None] >= looker.maker.first_drawn
    twins = own | ((sources > TWINS) & ~drawn)  # drawn pictures of one template are no duplicates
    similar[twins] = -1.0
    found = [set(np.array(rows)[near].tolist()) for near in np.argsort(-similar, axis=1)[:, :each]]
    kinds: list[tuple[str, FeatureKind]] = [("local", SIFT), ("learned", LEARNED)]
    for label, kind in kinds:
        with progress_bar(f"{label} features", unit="images") as progress:
            voted = local_candidates(
                np.array(names),
                np.array([str(row) for row in rows]),
                load_query=CatalogLoader.of(queries),
                load_reference=Photos(looker.maker),
                kind=kind,
                k=each + 1,
                workers=workers,
                progress=progress,
            ).pairs
        for query, reference in zip(
            voted.query_index.tolist(), voted.reference_index.tolist(), strict=True
        ):
            if not twins[query, reference]:
                found[query].add(rows[reference])
    for query, task in enumerate(tasks):
        found[query].update(siblings(looker.maker, task, rows, each))
    return [tuple(sorted(others)) for others in found]


def siblings(maker: Maker, task: Task, rows: list[int], each: int) -> list[int]:
    """Draw ``each`` other pictures of the template of a drawn one."""
    template = maker.template(task.source)
    if not template:
        return []
    others = [row for row in rows if row != task.source and maker.template(row) == template]
    rng = np.random.default_rng([maker.seed, task.source, task.number])
    return rng.permutation(np.array(others, dtype=np.int64))[:each].tolist()


def in_processes(
    work: Callable[[Any], Any], jobs: Iterable[Any], workers: int, label: str
) -> list[Any]:
    """Work on all jobs in several processes and return the results in order."""
    every = list(jobs)
    results = []
    with progress_bar(label, unit="queries") as update:
        for result in spawned_map(work, every, processes=workers, chunk=4, what="the looker"):
            results.append(result)
            update(len(results), len(every))
    return results


def limited(catalog: Catalog, limit: int, seed: int) -> Catalog:
    """Keep ``limit`` pictures, drawn at random; all where it is 0."""
    if not limit or limit >= len(catalog):
        return catalog
    return subset(catalog, np.sort(np.random.default_rng(seed).permutation(len(catalog))[:limit]))


def collect(maker: Maker, *, queries: int, each: int, workers: int) -> dict[str, npt.NDArray[Any]]:
    """The evidence of all pairs."""
    rows = sources_of(sum(len(catalog) for catalog in maker.catalogs))
    tasks = list(plan(rows, queries=queries, seed=maker.seed, first_drawn=maker.first_drawn))
    with tempfile.TemporaryDirectory() as folder:
        looker = Looker(maker, Path(folder), Verifier())
        covers = in_processes(looker.write, tasks, workers, "making")
        others = propose(looker, tasks, rows, each=each, workers=workers)
        looked = in_processes(
            looker.look, zip(tasks, covers, others, strict=True), workers, "looking"
        )
    evidence, copies, kinds, sources = zip(
        *(pair for pairs in looked for pair in pairs), strict=True
    )
    return {
        "evidence": np.stack(evidence),
        "copy": np.array(copies),
        "kind": np.array(kinds),
        "source": np.array(sources),
        "drawn": np.array(sources) >= maker.first_drawn,
        "names": np.array(EVIDENCE),
    }


def pair_weights(kinds: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """How much pairs of these kinds count in the fit."""
    return np.where(kinds == "same mount", MOUNT_WEIGHT, 1.0)


def fit(
    found: dict[str, npt.NDArray[Any]],
    *,
    seed: int,
    card: dict[str, Any],
    base: TreeModel | None = None,
    trees: int = 5,
) -> tuple[TreeModel, npt.NDArray[np.float64]]:
    """Fit the decision on all pairs, or correct ``base`` on them by some trees.

    It is calibrated on out-of-fold probabilities, which are returned, too.
    """
    fitted = fit_trees if base is None else partial(refine_trees, base, trees=trees)
    evidence, labels = found["evidence"], found["copy"]
    weights = pair_weights(found["kind"])
    fold = np.random.default_rng(seed).integers(0, 5, int(found["source"].max()) + 1)[
        found["source"]
    ]
    odds = np.empty(len(labels))
    for number in range(5):
        kept = fold != number
        odds[~kept] = fitted(
            evidence[kept], labels[kept], weights=weights[kept], seed=seed
        ).log_odds(evidence[~kept])
    model = calibrate(fitted(evidence, labels, weights=weights, seed=seed, card=card), odds, labels)
    return model, 1 / (1 + np.exp(-(model.slope * odds + model.offset)))


def averaged(
    base: TreeModel,
    model: TreeModel,
    found: dict[str, npt.NDArray[Any]],
    probability: npt.NDArray[np.float64],
) -> tuple[TreeModel, npt.NDArray[np.float64]]:
    """Average a fitted decision with ``base``, and calibrate the average on the same pairs."""
    card = {**model.card, "averaged with": base.card}
    joint = average_trees([base, model], card=card)
    before = base.slope * base.log_odds(found["evidence"]) + base.offset
    odds = (before + np.log(probability / (1 - probability))) / 2
    joint = calibrate(joint, odds, found["copy"])
    return joint, 1 / (1 + np.exp(-(joint.slope * odds + joint.offset)))


def thresholds(
    probability: npt.NDArray[np.float64], labels: npt.NDArray[np.bool_]
) -> list[dict[str, float]]:
    """Find the lowest out-of-fold probability that holds each precision, with its recall."""
    order = np.argsort(-probability, kind="stable")
    right = np.cumsum(labels[order])
    precision = right / np.arange(1, len(order) + 1)
    rows = []
    for wanted in PRECISIONS:
        held = np.flatnonzero(precision >= wanted)
        if len(held):
            recall = float(right[held[-1]] / labels.sum())
            rows.append(
                {
                    "precision": wanted,
                    "threshold": float(probability[order[held[-1]]]),
                    "recall": recall,
                }
            )
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", nargs="+")
    parser.add_argument(
        "--drawn", help="folder of pictures that are no photographs (scripts/draw_material.py)"
    )
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument(
        "--evidence", type=Path, help="keep the evidence here, or read it where it is there"
    )
    parser.add_argument("--queries", type=int, default=2, help="queries made of each photograph")
    parser.add_argument(
        "--each",
        type=int,
        default=2,
        help="look-alikes of each query by every source: embedding, SIFT, learned features",
    )
    parser.add_argument(
        "--limit",
        type=int,
        default=0,
        help="photographs of each folder, drawn at random; 0 for all",
    )
    parser.add_argument(
        "--data", default="", help="the photographs and their licence, for the card"
    )
    parser.add_argument(
        "--refine",
        action="store_true",
        help="correct the packaged decision on these pairs, which takes far fewer, instead of "
        "fitting one on these pairs alone",
    )
    parser.add_argument("--trees", type=int, default=5, help="trees that --refine appends")
    parser.add_argument(
        "--average",
        action="store_true",
        help="average the decision fitted on these pairs with the packaged one",
    )
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
        drawn = open_catalog(options.drawn) if options.drawn else None
        photos = [
            limited(open_catalog(folder), options.limit, options.seed) for folder in options.photos
        ]
        catalogs = tuple([*photos, drawn] if drawn is not None else photos)
        maker = Maker(catalogs, recipes(), options.seed, drawn)
        found = collect(
            maker,
            queries=options.queries,
            each=options.each,
            workers=options.workers,
        )
        if options.evidence:
            with atomic_path(options.evidence) as path, path.open("wb") as file:
                np.savez(file, **found)  # type: ignore[arg-type]
    kinds, counts = np.unique(found["kind"], return_counts=True)
    card: dict[str, Any] = {
        "data": options.data,
        "licence": "MIT",
        "command": "python scripts/train_verifier.py",
        "options": {name: getattr(options, name) for name in ("queries", "each", "limit", "seed")},
        "recipes": RECIPES,
        "mounts": {"share": MOUNTED, "kinds": list(MOUNTS), "weight": MOUNT_WEIGHT},
        "pairs": dict(zip(kinds.tolist(), counts.tolist(), strict=True)),
    }
    base = load_model() if options.refine else None
    if base is not None:
        card |= {"base": base.card, "trees": options.trees}
    model, probability = fit(found, seed=options.seed, card=card, base=base, trees=options.trees)
    if options.average:
        model, probability = averaged(load_model(), model, found, probability)
    drawn = found["drawn"]
    groups = {"thresholds": drawn | True, "thresholds of photographs": ~drawn}
    if drawn.any():
        groups["thresholds of pages and screens"] = drawn
    for name, chosen in groups.items():
        model.card[name] = thresholds(probability[chosen], found["copy"][chosen])
    with atomic_text(options.output) as file:
        file.write(model.to_json())
    for name in groups:
        print(name)
        for row in model.card[name]:
            print(
                "precision {precision:.2f}: threshold {threshold:.4f}, recall {recall:.3f}".format(
                    **row
                )
            )
    for kind in kinds.tolist():
        chosen = probability[found["kind"] == kind]
        print(
            f"{kind}: {len(chosen)} pairs, probability deciles "
            f"{np.quantile(chosen, [0.1, 0.5, 0.9]).round(3).tolist()}"
        )


if __name__ == "__main__":
    sys.exit(main())
