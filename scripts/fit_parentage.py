r"""Fit the weights of parents: which image of a family another one was made from.

  python scripts/make_families.py PHOTOS FAMILIES/moderate --families 80 --level moderate
  python scripts/make_families.py PHOTOS FAMILIES/disc_like --families 80 --level disc_like
  python scripts/fit_parentage.py FAMILIES/moderate FAMILIES/disc_like --output parentage.json

Every pair of a family is compared as a scan compares it (thumbnails, verdict in both directions,
likeness). Scores are of four-fold cross-validation over families: the root and the parents, given
the members. With --model FILE nothing is fitted: the model is scored on the families.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asl.app.families.arborescence import WeightedEdge, maximum_arborescence
from asl.app.families.likeness import measure_likeness
from asl.app.families.parentage import CUES, ParentModel, Relation, cues_of, packaged_model
from asl.app.library.facts import Facts
from asl.app.library.picture_parts import PictureParts
from asl.app.pairs.pair_verifier import PairVerifier
from asl.console.progress import progress_bar
from asl.data.images import decode_image
from asl.matching.decision.fit_trees import export_model
from asl.matching.decision.trees import parse_trees
from asl.matching.values import Settings
from asl.models import Preprocessing
from asl.storage import atomic_text

FOLDS = 4
ROUNDS, LEAVES, RATE = 400, 12, 0.03
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Family:
    """A family with exact truth, its members compared with each other.

    Attributes:
        names: of the members.
        parents: name -> name of the parent; the original has none.
        facts: of the members.
        relations: of every pair that matches at all.
    """

    names: list[str]
    parents: dict[str, str]
    facts: list[Facts]
    relations: list[Relation]

    def labels(self) -> npt.NDArray[np.bool_]:
        """For every row of :func:`cues_of`, whether it leads from a parent to its child."""
        pairs = [(r.first, r.second) for r in self.relations]
        pairs += [(r.second, r.first) for r in self.relations]
        return np.array([self.parents.get(self.names[b]) == self.names[a] for a, b in pairs], bool)


def read_families(folder: Path) -> tuple[dict[int, list[str]], dict[str, str]]:
    members: dict[int, list[str]] = defaultdict(list)
    with (folder / "families.csv").open() as file:
        for row in csv.DictReader(file):
            members[int(row["family"])].append(row["member"])
    with (folder / "truth.csv").open() as file:
        return members, {row["child"]: row["parent"] for row in csv.DictReader(file)}


def compare_family(folder: Path, names: list[str], parents: dict[str, str]) -> Family:
    parts = PictureParts(100_000_000, Settings().size, Preprocessing())
    read = [parts((folder / "images" / name).read_bytes()) for name in names]
    facts = [Facts.from_json(text) for text, _ in read]
    thumbnails = {name: arrays[0].tobytes() for name, (_, arrays) in zip(names, read, strict=True)}
    verifier = PairVerifier(thumbnails.__getitem__)
    relations = []
    for first, second in combinations(range(len(names)), 2):
        verdict = verifier.verify(names[first], names[second])
        pictures = [decode_image(thumbnails[names[number]]) for number in (first, second)]
        likeness = measure_likeness(*pictures, verdict)
        relations.append(Relation(first, second, verdict, likeness))
    return Family(names, parents, facts, relations)


def compare_all(folder: Path, limit: int | None) -> list[Family]:
    members, parents = read_families(folder)
    members = dict(list(members.items())[:limit])
    families = []
    with progress_bar(f"comparing {folder.name}", unit="families") as progress:
        for names in members.values():
            families.append(compare_family(folder, names, parents))
            progress(len(families), len(members))
    return families


def fit(families: Sequence[Family]) -> ParentModel:
    from sklearn.ensemble import HistGradientBoostingClassifier

    cues = np.concatenate([cues_of(f.relations, f.facts) for f in families])
    labels = np.concatenate([family.labels() for family in families])
    classifier = HistGradientBoostingClassifier(
        max_iter=ROUNDS,
        max_leaf_nodes=LEAVES,
        learning_rate=RATE,
        min_samples_leaf=40,
        l2_regularization=5.0,
        early_stopping=False,
        random_state=0,
    )
    classifier.fit(cues, labels.astype(int))
    card = {"families": len(families), "pairs": len(labels) // 2, "parents": int(labels.sum())}
    return export_model(classifier, CUES, card, ParentModel)


def chosen_parents(family: Family, weights: Floats) -> dict[str, str]:
    """The best tree, given the members; one root."""
    half = len(family.relations)
    edges = []
    for row, relation in enumerate(family.relations):
        for start, end, weight in (
            (relation.first, relation.second, weights[row]),
            (relation.second, relation.first, weights[half + row]),
        ):
            edges.append(WeightedEdge(start, end, round(1000 * float(weight)), len(edges)))
    rows = maximum_arborescence(len(family.names), edges)
    return {
        family.names[number]: family.names[edges[row].start]
        for number, row in enumerate(rows)
        if row is not None
    }


def ancestors(parents: dict[str, str]) -> set[tuple[str, str]]:
    pairs = set()
    for child in parents:
        above = parents.get(child)
        while above is not None:
            pairs.add((above, child))
            above = parents.get(above)
    return pairs


def top(tree: dict[str, str], name: str) -> str:
    """The first of a member's tree."""
    while name in tree:
        name = tree[name]
    return name


def root_is_found(own: dict[str, str], tree: dict[str, str]) -> bool:
    """Check that most members of a family stand under its original."""
    (original,) = set(own.values()) - own.keys()
    tops = Counter(top(tree, name) for name in {original, *own})
    return tops.most_common(1)[0][0] == original


def scores(truth: Sequence[dict[str, str]], trees: Sequence[dict[str, str]]) -> dict[str, float]:
    """Shares of roots and parents that are right, F1 of (ancestor, descendant) pairs."""
    roots = sum(root_is_found(own, tree) for own, tree in zip(truth, trees, strict=True))
    parents = sum(
        tree.get(child) == parent
        for own, tree in zip(truth, trees, strict=True)
        for child, parent in own.items()
    )
    expected = {pair for own in truth for pair in ancestors(own)}
    found = {pair for tree in trees for pair in ancestors(tree)}
    return {
        "root": roots / len(truth),
        "parent": parents / sum(map(len, truth)),
        "ancestor F1": 2 * len(expected & found) / (len(expected) + len(found)),
    }


def show(name: str, families: Sequence[Family], weights: Sequence[Floats]) -> None:
    truth = [{n: f.parents[n] for n in f.names if n in f.parents} for f in families]
    trees = [chosen_parents(f, w) for f, w in zip(families, weights, strict=True)]
    values = ", ".join(f"{key} {value:.3f}" for key, value in scores(truth, trees).items())
    print(f"{name}: {len(families)} families, {sum(map(len, truth))} copies: {values}", flush=True)


def show_all(name: str, families: Sequence[Family], models: Sequence[ParentModel]) -> None:
    """Scores of a model per family, and of the surest pair alone."""
    cues = [cues_of(family.relations, family.facts) for family in families]
    show(f"{name}, surest pair", families, [np.asarray(c[:, 0]) for c in cues])
    weights = [m.log_odds(c) for m, c in zip(models, cues, strict=True)]
    show(f"{name}, weights", families, weights)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("families", type=Path, nargs="+")
    parser.add_argument("--limit", type=int, help="families of each folder")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--model", help="a file, or 'packaged'")
    options = parser.parse_args(arguments)
    levels = {folder.name: compare_all(folder, options.limit) for folder in options.families}
    if options.model:
        model = (
            packaged_model()
            if options.model == "packaged"
            else parse_trees(Path(options.model).read_text(), name=options.model, kind=ParentModel)
        )
        for name, families in levels.items():
            show_all(name, families, [model] * len(families))
        return 0
    folds = []
    for fold in range(FOLDS):
        others = [f for all_ in levels.values() for n, f in enumerate(all_) if n % FOLDS != fold]
        folds.append(fit(others))
    for name, families in levels.items():
        show_all(name, families, [folds[n % FOLDS] for n in range(len(families))])
    if options.output:
        with atomic_text(options.output) as file:
            file.write(fit([f for all_ in levels.values() for f in all_]).to_json())
    return 0


if __name__ == "__main__":
    sys.exit(main())
