"""Search over regions equals the maximum over them by brute force, ties included."""

from __future__ import annotations

import numpy as np
import pytest

from asl.index.exact.region_search import best_of, search_regions
from asl.scoring.score import MODES, Score
from asl.types import AslError, Embeddings, QueryEmbeddings, ReferenceEmbeddings, ScoredPairs


def made(count: int, seed: int, role: type[Embeddings] = Embeddings) -> Embeddings:
    rng = np.random.default_rng(seed)
    features = rng.integers(-2, 3, (count, 6)) + 0.5  # few values: ties happen
    return role.from_features(
        [f"{role.__name__[0]}{n:03d}" for n in rng.permutation(count)], features
    )


def as_regions(whole: Embeddings, seeds: list[int]) -> list[Embeddings]:
    return [
        Embeddings(whole.ids, made(len(whole), seed).vectors, whole.log_norms) for seed in seeds
    ]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("sides", [(0, 2), (2, 0), (2, 3)])
def test_equals_the_maximum_over_regions(mode: str, sides: tuple[int, int]) -> None:
    queries, references = made(7, 1, QueryEmbeddings), made(30, 2, ReferenceEmbeddings)
    assert isinstance(queries, QueryEmbeddings)
    assert isinstance(references, ReferenceEmbeddings)
    of_queries, of_references = (
        as_regions(queries, [3, 4][: sides[0]]),
        as_regions(references, [5, 6, 7][: sides[1]]),
    )
    score = Score(mode, 0.2, 0.1, (0.0, 3.0) if mode == "soft" else None)  # type: ignore[arg-type]
    found = search_regions(
        queries,
        references,
        reference_regions=of_references,
        query_regions=of_queries,
        score=score,
        k=5,
    )

    gap = queries.log_norms[:, None] - references.log_norms[None]
    pairs = [
        (queries, references),
        *((queries, r) for r in of_references),
        *((q, references) for q in of_queries),
    ]
    cosine = np.max([left.vectors @ right.vectors.T for left, right in pairs], axis=0)
    clipped = [np.clip(side.log_norms, *(score.clip or (-9, 9))) for side in (queries, references)]
    expected = {
        "cosine": cosine,
        "paper": cosine,
        "strict": np.where(gap <= score.tau, cosine, -np.inf),
        "soft": cosine + score.lam * (clipped[1][None] - clipped[0][:, None]),
        "hinge": cosine - score.lam * np.maximum(0, gap - score.tau),
    }[mode]
    for row, name in enumerate(queries.ids.tolist()):
        mine = found.take(np.flatnonzero(found.query_ids == name))
        order = np.lexsort((references.ids, -expected[row].round(5)))[:5]
        wanted = expected[row][order]
        if mode == "paper":  # cut out of the cosine's list afterwards
            wanted = wanted[gap[row][order] <= score.tau]
            assert len(mine) >= len(wanted)
            assert set(np.round(wanted, 4)) <= set(np.round(mine.scores, 4))
            continue
        wanted = wanted[np.isfinite(wanted)]
        np.testing.assert_allclose(mine.scores, wanted, atol=1e-5)
        assert len(set(mine.reference_ids.tolist())) == len(mine)


def test_the_best_score_of_a_pair_counts_once_and_ties_go_by_id() -> None:
    def pairs(*rows: tuple[int, int, float]) -> ScoredPairs:
        query, reference, score = zip(*rows, strict=True)
        return ScoredPairs(
            ["q", "p"], ["c", "b", "a"], np.array(query), np.array(reference), np.array(score)
        )

    found = best_of(
        [pairs((0, 0, 0.5), (1, 1, 0.1)), pairs((0, 0, 0.9), (0, 1, 0.9), (0, 2, 0.2))], k=2
    )
    assert found.reference_ids.tolist() == ["b", "c", "b"]  # 0.9 twice: b before c
    np.testing.assert_allclose(found.scores, [0.9, 0.9, 0.1])
    assert found.query_ids.tolist() == ["q", "q", "p"]


def test_regions_of_other_images_are_refused() -> None:
    queries, references = made(7, 1, QueryEmbeddings), made(30, 2, ReferenceEmbeddings)
    assert isinstance(queries, QueryEmbeddings)
    assert isinstance(references, ReferenceEmbeddings)
    for sides in (
        {"reference_regions": [queries]},
        {"query_regions": [references]},
        {"query_regions": [made(7, 9)]},
    ):
        with pytest.raises(AslError, match="same images in the same order"):
            search_regions(queries, references, score=Score("cosine"), **sides)  # type: ignore[arg-type]
