"""Weigh which image another one was made from directly.

Cues are the likeness, coverage, size and compression of the two, each beside those of the other
candidates, and how both stand to the rest of the family.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from importlib import resources
from typing import ClassVar

import numpy as np

from asl.app.families.family_context import CONTEXT_CUES, DirectedLink, context_cues
from asl.app.families.likeness import Likeness
from asl.app.library.facts import Facts
from asl.app.pairs.pair_verdict import PairVerdict
from asl.matching.decision.trees import TreeModel, parse_trees
from asl.types import F64, I64

LEAST_PROBABILITY = 1e-4  # of a direction
MOST_WEIGHT = 12.0  # log-odds
_MISSING = -1.0  # of a likeness that was not measured; differences are not negative
_COMPARED = ("log_odds", "surest", "mean", "first_median", "first_mean", "second_mean")
_CONTEXT_COMPARED = ("nearer", "liker", "lead_parent", "pixels", "lost")
CUES = (
    "log_odds",
    "back_log_odds",
    "share_child",
    "share_parent",
    "pixels",
    "bytes_per_pixel",
    "lost",
    "shared_pixels",
    *(field.name for field in fields(Likeness)),
    *(f"{name}_to_best" for name in _COMPARED),
    *CONTEXT_CUES,
    *(f"{name}_to_best" for name in _CONTEXT_COMPARED),
)


class ParentModel(TreeModel):
    """Boosted trees over :data:`CUES`."""

    COLUMNS: ClassVar[tuple[str, ...]] = CUES


@dataclass(frozen=True, eq=False)
class Relation:
    """A matching pair of images of a family.

    Attributes:
        first: number of an image.
        second: number of the other.
        verdict: of the pair (first, second).
        likeness: of the pair (first, second); None where it was not measured.
    """

    first: int
    second: int
    verdict: PairVerdict
    likeness: Likeness | None


@lru_cache(maxsize=1)
def packaged_model() -> ParentModel:
    """Read the packaged model."""
    text = resources.files("asl.app.families").joinpath("parentage.json").read_text("utf-8")
    return parse_trees(text, name="the packaged model of parentage", kind=ParentModel)


def parent_weights(
    relations: Sequence[Relation], facts: Sequence[Facts], model: ParentModel | None = None
) -> list[tuple[float, float]]:
    """Weigh both directions of every pair.

    Args:
        relations: pairs of images that match; each counts beside the others of its images.
        facts: by number of image.
        model: None for the packaged one.

    Returns:
        Per pair the log-odds that the second was made from the first directly, and those that the
        first was made from the second.
    """
    if not relations:
        return []
    odds = (model or packaged_model()).log_odds(cues_of(relations, facts))
    odds = np.clip(odds, -MOST_WEIGHT, MOST_WEIGHT)
    count = len(relations)
    return list(zip(odds[:count].tolist(), odds[count:].tolist(), strict=True))


def cues_of(relations: Sequence[Relation], facts: Sequence[Facts]) -> F64:
    """Measure the cues, float64 ``[2 R, cues]``: second made from first, then first from second."""
    directed = [
        *((r.first, r.second, r.verdict, r.likeness and r.likeness.flipped()) for r in relations),
        *((r.second, r.first, r.verdict.flipped(), r.likeness) for r in relations),
    ]
    own = np.array(
        [
            _cues(facts[parent], facts[child], verdict, likeness)
            for parent, child, verdict, likeness in directed
        ]
    )
    children = np.array([child for _, child, _, _ in directed], dtype=np.int64)
    surest = np.maximum(own[:, 0], own[:, 1])
    likeness_names = [field.name for field in fields(Likeness)]
    compared = [own[:, 0], surest]
    for name in _COMPARED[2:]:
        values = own[:, 8 + likeness_names.index(name)]
        compared.append(np.where(values < 0, np.nan, -values))
    context = context_cues(
        [
            (parent, child, _link(own_cues, likeness))
            for (parent, child, _, likeness), own_cues in zip(directed, own, strict=True)
        ]
    )
    by_name = dict(zip(CONTEXT_CUES, context.T, strict=True))
    # Of equal children the larger and more detailed parent is the likelier one.
    by_name |= {"pixels": own[:, CUES.index("pixels")], "lost": own[:, CUES.index("lost")]}
    compared += [by_name[name] for name in _CONTEXT_COMPARED]
    beside = [_to_best(column, children) for column in compared]
    first = len(_COMPARED)
    return np.column_stack([own, *beside[:first], context, *beside[first:]])


def _link(cues: F64, likeness: Likeness | None) -> DirectedLink:
    """Return the pair as the parent sees it, from its cues."""
    made, made_of, share_child, share_parent = cues[:4].tolist()
    difference = min(likeness.first_mean, likeness.second_mean) if likeness else None
    return DirectedLink(made, made_of, share_child, share_parent, difference)


def _cues(
    parent: Facts, child: Facts, verdict: PairVerdict, likeness: Likeness | None
) -> list[float]:
    """Cues of one direction; ``verdict`` is of (parent, child), ``likeness`` of (child, parent)."""
    shares = verdict.share_second, verdict.share_first
    shared = shares[1] * parent.pixels / max(shares[0] * child.pixels, 1.0)
    densities = [max(image.bytes, 1) / max(image.pixels, 1) for image in (parent, child)]
    lost = [image.sharpness + 0.1 for image in (parent, child)]
    return [
        _log_odds(verdict.backward),
        _log_odds(verdict.forward),
        *shares,
        math.log(max(parent.pixels, 1) / max(child.pixels, 1)),
        math.log(densities[0] / densities[1]),
        math.log(lost[0] / lost[1]),
        math.log(shared) if shared > 0 else 0.0,
        *(likeness.values() if likeness else [_MISSING] * len(fields(Likeness))),
    ]


def _to_best(values: F64, children: I64) -> F64:
    """Difference to the best candidate of the same child; ``_MISSING * 10`` where not measured."""
    best = np.full(int(children.max()) + 1, -np.inf)
    known = np.isfinite(values)
    np.maximum.at(best, children[known], values[known])
    differences = np.full(len(values), 10 * _MISSING)
    differences[known] = values[known] - best[children[known]]
    return differences


def _log_odds(probability: float) -> float:
    p = min(max(probability, LEAST_PROBABILITY), 1 - LEAST_PROBABILITY)
    return math.log(p / (1 - p))
