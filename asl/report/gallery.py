"""The predictions that one would rather look at: the surest mistakes and the true pairs that were missed."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from asl.data.catalog import Catalog
from asl.data.images import decode_image
from asl.types import AslError, Embeddings, QueryEmbeddings, ReferenceEmbeddings, ScoredPairs, TruthPairs


@dataclass(frozen=True)
class Case:
    """One pair to look at.

    Attributes:
        query: id.
        reference: id.
        score: None where the pair was not among the predictions.
        kind: of the query.
        verdict: what happened, in words.
        query_norm: ln |f| of the query.
        reference_norm: ln |f| of the reference.
    """

    query: str
    reference: str
    score: float | None
    kind: str
    verdict: str
    query_norm: float
    reference_norm: float


def worst_false_matches(
    pairs: ScoredPairs, truth: TruthPairs, queries: QueryEmbeddings, references: ReferenceEmbeddings, *, count: int
) -> list[Case]:
    """The false pairs with the highest scores, one a query."""
    right = set(zip(truth.query_ids.tolist(), truth.reference_ids.tolist(), strict=True))
    seen, rows = set(), []
    for row in np.argsort(-pairs.scores, kind="stable").tolist():
        query = str(pairs.queries[pairs.query_index[row]])
        reference = str(pairs.references[pairs.reference_index[row]])
        if (query, reference) not in right and query not in seen:
            seen.add(query)
            rows.append((query, reference, float(pairs.scores[row])))
        if len(rows) == count:
            break
    norms = _norms(queries), _norms(references)
    return [_case(query, reference, score, truth, norms, "false match") for query, reference, score in rows]


def worst_misses(
    pairs: ScoredPairs,
    truth: TruthPairs,
    queries: QueryEmbeddings,
    references: ReferenceEmbeddings,
    *,
    threshold: float | None,
    count: int,
) -> list[Case]:
    """True pairs that were not found at all, then those with the lowest scores."""
    score = {
        (q, r): s
        for q, r, s in zip(pairs.query_ids.tolist(), pairs.reference_ids.tolist(), pairs.scores.tolist(), strict=True)
    }
    true = list(zip(truth.query_ids.tolist(), truth.reference_ids.tolist(), strict=True))
    low = sorted(true, key=lambda pair: score.get(pair, -np.inf))
    norms = _norms(queries), _norms(references)
    cases = []
    for query, reference in low[:count]:
        found = score.get((query, reference))
        if found is not None and threshold is not None and found >= threshold:
            break
        verdict = "missed: not among the candidates" if found is None else "missed: below the threshold"
        if norms[0].get(query, 0.0) > norms[1].get(reference, 0.0):
            verdict += "; the query has the larger norm"
        cases.append(_case(query, reference, found, truth, norms, verdict))
    return cases


def _norms(embeddings: Embeddings) -> dict[str, float]:
    return dict(zip(embeddings.ids.tolist(), embeddings.log_norms.tolist(), strict=True))


def _case(
    query: str,
    reference: str,
    score: float | None,
    truth: TruthPairs,
    norms: tuple[dict[str, float], dict[str, float]],
    verdict: str,
) -> Case:
    kind = truth.kinds.get(query, "")
    return Case(query, reference, score, kind, verdict, norms[0].get(query, np.nan), norms[1].get(reference, np.nan))


def thumbnails(catalog: Catalog, *, side: int = 220) -> Callable[[str], str]:
    """Id -> a small JPEG as a data URL; an unreadable image gives an empty string."""
    row = {name: index for index, name in enumerate(catalog.ids.tolist())}

    def thumbnail(name: str) -> str:
        try:
            image = decode_image(catalog.read(row[name]))
        except (AslError, OSError, KeyError):
            return ""
        factor = min(1.0, side / max(image.shape[:2]))
        size = max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        data = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()
        return "data:image/jpeg;base64," + base64.b64encode(data).decode()

    return thumbnail
