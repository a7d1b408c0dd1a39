"""Select the surest false matches and the worst misses of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from asl.data.catalog import Catalog
from asl.metrics.average_precision import label_pairs
from asl.report.page import picture_address
from asl.types import AslError, Embeddings, ScoredPairs, StrArray, TruthPairs

Pair = tuple[str, str]
THUMBNAIL_QUALITY = 82  # of the JPEG


@dataclass(frozen=True)
class Case:
    """One mistake.

    Attributes:
        query: id.
        reference: id.
        score: None if the pair was not predicted.
        verdict: kind of mistake in words.
    """

    query: str
    reference: str
    score: float | None
    verdict: str

    @property
    def pair(self) -> Pair:
        """(query, reference)."""
        return self.query, self.reference


def worst_false_matches(
    pairs: ScoredPairs, truth: TruthPairs, *, threshold: float | None, count: int
) -> list[Case]:
    """Select the false pairs with the highest scores, the best one of every query.

    Args:
        pairs: predictions.
        truth: ground truth.
        threshold: from which on a pair is accepted; None accepts none.
        count: most cases.
    """
    rows = np.flatnonzero(~label_pairs(pairs, truth))
    rows = rows[np.lexsort((pairs.reference_index[rows], -pairs.scores[rows]))]
    _, first = np.unique(pairs.query_index[rows], return_index=True)
    cases = []
    for row in rows[np.sort(first)[:count]].tolist():
        score = float(pairs.scores[row])
        accepted = threshold is not None and score >= threshold
        verdict = "false match: accepted" if accepted else "false pair, below the threshold"
        cases.append(Case(*_pair(pairs, row), score, verdict))
    return cases


def worst_misses(
    pairs: ScoredPairs, truth: TruthPairs, *, threshold: float | None, count: int
) -> list[Case]:
    """Select true pairs that were not predicted, then those with the lowest scores.

    Args:
        pairs: predictions.
        truth: ground truth.
        threshold: below which a true pair is missed; None takes all.
        count: most cases, half of each kind where there are both.
    """
    rows = np.flatnonzero(label_pairs(pairs, truth))
    scores = {_pair(pairs, row): float(pairs.scores[row]) for row in rows.tolist()}
    true = zip(truth.query_ids.tolist(), truth.reference_ids.tolist(), strict=True)
    missed = [pair for pair in true if threshold is None or scores.get(pair, -np.inf) < threshold]
    missed.sort(key=lambda pair: scores.get(pair, -np.inf))
    return [
        Case(
            *pair,
            scores.get(pair),
            "missed: below the threshold" if pair in scores else "missed: no candidate",
        )
        for pair in _half_of_each(missed, scores, count)
    ]


def _half_of_each(missed: Sequence[Pair], scores: Mapping[Pair, float], count: int) -> list[Pair]:
    """Take half of the places for unpredicted pairs, half for low scores, if there are both."""
    absent = [pair for pair in missed if pair not in scores]
    low = [pair for pair in missed if pair in scores]
    places = max(count // 2, count - len(low))
    return [*absent[:places], *low[: count - min(places, len(absent))]]


def _pair(pairs: ScoredPairs, row: int) -> Pair:
    query = pairs.queries[pairs.query_index[row]]
    reference = pairs.references[pairs.reference_index[row]]
    return str(query), str(reference)


def scores_of(
    runs: Mapping[str, ScoredPairs], cases: Sequence[Pair]
) -> dict[Pair, dict[str, float]]:
    """Look up a few pairs: pair -> run -> score, without runs that did not predict the pair."""
    result: dict[Pair, dict[str, float]] = {pair: {} for pair in cases}
    for name, pairs in runs.items():
        queries = np.flatnonzero(np.isin(pairs.queries, [query for query, _ in cases]))
        for row in np.flatnonzero(np.isin(pairs.query_index, queries)).tolist():
            pair = _pair(pairs, row)
            if pair in result:
                result[pair][name] = float(pairs.scores[row])
    return result


def norm_lookup(embeddings: Embeddings | None) -> Callable[[str], float | None]:
    """Return a function id -> ln |f|, or None for an image without an embedding."""
    if embeddings is None:
        return lambda name: None
    ids: StrArray = embeddings.ids
    order = np.argsort(ids)

    def lookup(name: str) -> float | None:
        place = int(np.searchsorted(ids, name, sorter=order))
        row = order[min(place, len(order) - 1)]
        return float(embeddings.log_norms[row]) if ids[row] == name else None

    return lookup


def thumbnails(catalog: Catalog | None, *, side: int = 240) -> Callable[[str], str]:
    """Return a function id -> JPEG thumbnail as a data: address.

    It returns an empty string for an image that is missing or unreadable.

    Args:
        catalog: of the images; None has none.
        side: pixels of the longer side.
    """
    if catalog is None:
        return lambda name: ""
    row = {name: index for index, name in enumerate(catalog.ids.tolist())}

    def thumbnail(name: str) -> str:
        from asl.data.images import decode_image

        try:
            image = decode_image(catalog.read(row[name]))
        except (AslError, OSError, KeyError):
            return ""
        return picture_address(image, side=side, quality=THUMBNAIL_QUALITY)

    return thumbnail
