"""Candidates of embeddings and of local features join under one score."""

from __future__ import annotations

import numpy as np
import pytest

from asl.index.exact.region_search import search_regions
from asl.pipeline.candidates import join_candidates, warn_failures
from asl.pipeline.inputs import SearchInput
from asl.scoring.score import Score, pair_scores
from asl.types import QueryEmbeddings, ReferenceEmbeddings, ScoredPairs


def test_candidates_of_local_features_are_scored_over_regions_too() -> None:
    rng = np.random.default_rng(0)
    queries = QueryEmbeddings.from_features(["a", "b"], rng.normal(size=(2, 8)))
    references, region = (
        ReferenceEmbeddings.from_features(list("wxyz"), rng.normal(size=(4, 8))) for _ in range(2)
    )
    score, parts = Score("cosine"), {"reference_regions": [region]}
    every = search_regions(queries, references, score=score, k=4, **parts)
    first = search_regions(queries, references, score=score, k=1, **parts)
    rest = np.flatnonzero(~np.isin(every.scores, first.scores))
    votes = ScoredPairs(
        every.queries,
        every.references,
        every.query_index[rest],
        every.reference_index[rest],
        np.ones(6, np.float32),
    )
    joined = join_candidates(first, votes, SearchInput(queries, references, **parts), score=score)
    np.testing.assert_allclose(joined.scores, every.scores, atol=1e-6)
    whole = pair_scores(
        queries,
        references,
        score=score,
        query_index=joined.query_index,
        reference_index=joined.reference_index,
    )
    assert (joined.scores > whole + 0.1).any(), "some are surer by a region"


def test_pairs_that_the_score_does_not_admit_are_no_candidates() -> None:
    queries = QueryEmbeddings.from_features(["q"], [[3.0, 0.0]])
    references = ReferenceEmbeddings.from_features(["small", "large"], [[1.0, 0.1], [4.0, 0.1]])
    found = ScoredPairs(queries.ids, references.ids, [0], [1], np.array([0.9], np.float32))
    votes = ScoredPairs(queries.ids, references.ids, [0, 0], [0, 1], np.ones(2, np.float32))
    inputs = SearchInput(queries, references)
    assert join_candidates(found, votes, inputs, score=Score("strict")).reference_ids.tolist() == [
        "large"
    ]
    both = join_candidates(found, votes, inputs, score=Score("cosine"))
    assert sorted(both.reference_ids.tolist()) == ["large", "small"]


def test_brackets_in_the_name_of_an_unreadable_image_are_no_markup(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A name such as ``a[/b].jpg`` ended the search in a traceback of rich."""
    warn_failures({"query:a[/b] [final].jpg": "empty file"}, "not verified")
    line = "1 image not verified, e.g. query:a[/b] [final].jpg: empty file\n"
    assert capsys.readouterr().err == line
