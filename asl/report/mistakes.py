"""The predictions that one would rather look at: the surest mistakes and the true pairs that were missed."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from asl.data.catalog import Catalog
from asl.metrics.average_precision import label_pairs
from asl.types import AslError, Embeddings, ScoredPairs, StrArray, TruthPairs

Pair = tuple[str, str]


@dataclass(frozen=True)
class Case:
    """One pair to look at.

    Attributes:
        query: id.
        reference: id.
        score: None where the pair was not among the predictions.
        verdict: what happened, in words.
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
    pairs: ScoredPairs, truth: TruthPairs, *, threshold: float | None = None, count: int = 12
) -> list[Case]:
    """The false pairs with the highest scores, the best one of every query."""
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
    pairs: ScoredPairs, truth: TruthPairs, *, threshold: float | None = None, count: int = 12
) -> list[Case]:
    """True pairs that are no candidates at all, then those with the lowest scores (below the threshold)."""
    rows = np.flatnonzero(label_pairs(pairs, truth))
    found = {_pair(pairs, row): float(pairs.scores[row]) for row in rows.tolist()}
    true = zip(truth.query_ids.tolist(), truth.reference_ids.tolist(), strict=True)
    missed = [pair for pair in true if threshold is None or found.get(pair, -np.inf) < threshold]
    missed.sort(key=lambda pair: found.get(pair, -np.inf))
    return [
        Case(
            *pair,
            found.get(pair),
            "missed: below the threshold" if pair in found else "missed: no candidate",
        )
        for pair in _spread(missed, found, count)
    ]


def _spread(missed: Sequence[Pair], found: Mapping[Pair, float], count: int) -> list[Pair]:
    """Half of the places for pairs that are no candidates, half for those with low scores, where there are both."""
    absent = [pair for pair in missed if pair not in found]
    low = [pair for pair in missed if pair in found]
    places = max(count // 2, count - len(low))
    return [*absent[:places], *low[: count - min(places, len(absent))]]


def _pair(pairs: ScoredPairs, row: int) -> Pair:
    return str(pairs.queries[pairs.query_index[row]]), str(
        pairs.references[pairs.reference_index[row]]
    )


def scores_of(
    runs: Mapping[str, ScoredPairs], wanted: Sequence[Pair]
) -> dict[Pair, dict[str, float]]:
    """Pair -> run -> score, for a few pairs; a run without a prediction for the pair is left out."""
    result: dict[Pair, dict[str, float]] = {pair: {} for pair in wanted}
    for name, pairs in runs.items():
        queries = np.flatnonzero(np.isin(pairs.queries, [query for query, _ in wanted]))
        for row in np.flatnonzero(np.isin(pairs.query_index, queries)).tolist():
            pair = _pair(pairs, row)
            if pair in result:
                result[pair][name] = float(pairs.scores[row])
    return result


def norm_lookup(embeddings: Embeddings | None) -> Callable[[str], float | None]:
    """Id -> ln |f|; None where there are no embeddings or not of this image."""
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
    """Id -> a small JPEG as a data URL; an image that is not there or unreadable gives an empty string."""
    if catalog is None:
        return lambda name: ""
    row = {name: index for index, name in enumerate(catalog.ids.tolist())}

    def thumbnail(name: str) -> str:
        import cv2

        from asl.data.images import decode_image

        try:
            image = decode_image(catalog.read(row[name]))
        except (AslError, OSError, KeyError):
            return ""
        factor = min(1.0, side / max(image.shape[:2]))
        size = max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        data = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 82])[1].tobytes()
        return "data:image/jpeg;base64," + base64.b64encode(data).decode()

    return thumbnail
