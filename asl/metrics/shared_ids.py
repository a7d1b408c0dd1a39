"""Compare the ids of predictions, features and truth before a number is printed.

A suffix or a folder too much makes every metric 0, and references that lack true ones lower it;
neither is visible in the number.
"""

from __future__ import annotations

import numpy as np

from asl.counts import counted
from asl.types import AslError, ScoredPairs, StrArray, TruthPairs

# Share of the smaller set below which two sets of ids are taken for different formats.
LEAST_SHARED = 0.01
# Share of the truth's ids that features must hold; below it the metrics would be of another set.
LEAST_HELD = 0.5


def compare_predictions(pairs: ScoredPairs, truth: TruthPairs, *, name: str) -> list[str]:
    """Compare the ids of predictions with those of the truth, for queries and for references.

    Args:
        pairs: predictions.
        truth: ground truth.
        name: of the predictions, for messages.

    Returns:
        Lines about ids that only one side has; empty where all predicted queries are in the truth.

    Raises:
        AslError: the sets share less than 1 % of the smaller one, or queries and references are
            exchanged; an id of either side is named.

    >>> truth = TruthPairs.from_pairs([("Q1", "R1")])
    >>> pairs = ScoredPairs.from_ids(["Q1"], ["R1.jpg"], [0.5])
    >>> compare_predictions(pairs, truth, name="p.csv")
    Traceback (most recent call last):
    asl.errors.AslError: p.csv: its reference ids are not those of the truth (0 of 1 shared): \
predictions have 'R1.jpg', the truth 'R1'; do both files use the same id format?
    """
    if not len(pairs):
        return []
    queries = pairs.queries[np.unique(pairs.query_index)]
    references = pairs.references[np.unique(pairs.reference_index)]
    _check_sides(queries, truth, name=name)
    _check_format(queries, truth.queries, "query", name=name)
    if len(truth):
        _check_format(references, np.unique(truth.reference_ids), "reference", name=name)
    unknown = np.setdiff1d(queries, truth.queries)
    if not len(unknown):
        return []
    own = counted(len(queries), "query", "queries")
    return [
        f"{name}: {len(unknown):,} of its {own} {'is' if len(unknown) == 1 else 'are'} not in the "
        f"truth, scored as without a match, e.g. {str(unknown[0])!r}"
    ]


def _check_sides(queries: StrArray, truth: TruthPairs, *, name: str) -> None:
    """Refuse predictions in the other direction, whose ids look as if they had another format."""
    exchanged = queries[np.isin(queries, truth.reference_ids)]
    if len(exchanged) and not np.isin(queries, truth.queries).any():
        raise AslError(
            f"{name}: queries and references are exchanged: its query {str(exchanged[0])!r} is a "
            "reference in the truth; search in the other direction, or swap the columns of one file"
        )


def _check_format(ids: StrArray, expected: StrArray, role: str, *, name: str) -> None:
    shared = int(np.isin(ids, expected).sum())
    if shared < LEAST_SHARED * min(len(ids), len(expected)):
        foreign = ids[~np.isin(ids, expected)]
        raise AslError(
            f"{name}: its {role} ids are not those of the truth ({shared:,} of {len(ids):,} "
            f"shared): predictions have {str(foreign[0])!r}, the truth {str(expected[0])!r}; "
            "do both files use the same id format?"
        )


def compare_features(truth: TruthPairs, *, queries: StrArray, references: StrArray) -> list[str]:
    """Compare the ids of searched features with the truth: which of its images are missing?

    Args:
        truth: ground truth.
        queries: ids of the embedded queries.
        references: ids of the embedded references.

    Returns:
        Lines about images of the truth that are not among the features.

    Raises:
        AslError: less than half of a role's images are there; an id of either side is named.

    >>> truth = TruthPairs.from_pairs([("q1", "r1"), ("q2", "r2")])
    >>> held = np.array(["q1", "q2"]), np.array(["r1"])
    >>> lines = compare_features(truth, queries=held[0], references=held[1])
    >>> lines[0][:47]
    'references: 1 of the 2 references in the truth '
    """
    lines = []
    for role, ids, expected in (
        ("queries", queries, truth.queries),
        ("references", references, np.unique(truth.reference_ids)),
    ):
        missing = np.setdiff1d(expected, ids)
        if not len(missing):
            continue
        said = (
            f"{role}: {len(missing)} of the {len(expected)} {role} in the truth are not among "
            f"the {len(ids)} that are searched, e.g. {str(missing[0])!r}"
        )
        if len(missing) > (1 - LEAST_HELD) * len(expected):
            example = f" ({role} have {str(ids[0])!r})" if len(ids) else ""
            raise AslError(f"{said}{example}; do both use the same id format?")
        lines.append(f"{said}; their pairs count as missed")
    return lines
