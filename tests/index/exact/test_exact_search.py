"""Every engine and every score against brute force over all pairs."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asl.index.engines.by_name import make_engine
from asl.index.engines.cpu_bfloat16 import CpuBfloat16
from asl.index.engines.numpy_exact import NumpyExact
from asl.index.engines.protocol import Engine
from asl.index.exact.exact_search import search
from asl.index.exact.norm_sorted import NormSortedReferences
from asl.index.exact.strip_search import encoding_pays
from asl.scoring.normalization import ScoreNormalization, normalization_of
from asl.scoring.score import MODES, Score, pair_scores
from asl.types import (
    AslError,
    BackgroundEmbeddings,
    Embeddings,
    QueryEmbeddings,
    ReferenceEmbeddings,
    ScoredPairs,
    UsageError,
)

# Exact engines: by inner products, and by scores in one pass over tiles.
ENGINES: dict[str, str | Engine] = {
    "exact": "exact",
    "faiss": "faiss",
    "bfloat16": CpuBfloat16(least_work=0, width=256),
}


def embeddings(
    count: int, dim: int, prefix: str, rng: np.random.Generator, *, spread: float = 0.3
) -> Embeddings:
    features = rng.normal(size=(count, dim)) * rng.lognormal(0, spread, size=(count, 1))
    return Embeddings.from_features([f"{prefix}{number}" for number in range(count)], features)


def oracle(
    queries: QueryEmbeddings,
    references: ReferenceEmbeddings,
    score: Score,
    k: int,
    background: BackgroundEmbeddings | None = None,
) -> list[tuple[str, str, float]]:
    """All pairs, sorted by (-score, reference id), in plain Python."""
    shape = len(queries), len(references)
    everything = {
        "query_index": np.repeat(np.arange(shape[0]), shape[1]),
        "reference_index": np.tile(np.arange(shape[1]), shape[0]),
        "background": background,
    }
    values = pair_scores(queries, references, score=score, **everything).reshape(shape)
    ranked_by = values
    if score.mode == "paper":
        cosine = Score("cosine", normalization=score.normalization)
        ranked_by = pair_scores(queries, references, score=cosine, **everything).reshape(shape)
    result = []
    for row in range(shape[0]):
        order = sorted(
            range(shape[1]), key=lambda column: (-ranked_by[row, column], references.ids[column])
        )[:k]
        result += [
            (str(queries.ids[row]), str(references.ids[column]), float(values[row, column]))
            for column in order
            if np.isfinite(values[row, column])
        ]
    return result


def triples(pairs: ScoredPairs) -> list[tuple[str, str, float]]:
    return list(
        zip(
            pairs.query_ids.tolist(),
            pairs.reference_ids.tolist(),
            pairs.scores.tolist(),
            strict=True,
        )
    )


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", ["none", "subtract", "stretch"])
@pytest.mark.parametrize("mode", MODES)
def test_equal_to_brute_force(mode: str, kind: str, engine: str) -> None:
    rng = np.random.default_rng(1)
    queries = embeddings(400, 12, "q", rng).as_queries()
    references = embeddings(700, 12, "r", rng).as_references()
    background = embeddings(50, 12, "b", rng).as_background()
    score = Score(
        mode,  # type: ignore[arg-type]
        lam=0.3,
        tau=0.05,
        clip=(-0.2, 0.3) if mode == "soft" else None,
        normalization=normalization_of(kind, beta=1.5, first=1, last=4),
    )
    found = search(
        queries, references, score=score, k=6, engine=ENGINES[engine], background=background
    )
    assert triples(found) == oracle(queries, references, score, 6, background)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_sizes_norms_and_ties(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**31)))
    dim = data.draw(st.integers(1, 4))
    queries = embeddings(data.draw(st.integers(1, 7)), dim, "q", rng, spread=1.0).as_queries()
    # Copies of the same few vectors: whole runs of exact ties, of scores and of norms.
    base = embeddings(data.draw(st.integers(1, 4)), dim, "r", rng, spread=1.0)
    rows = rng.integers(len(base), size=data.draw(st.integers(1, 40)))
    references = ReferenceEmbeddings(
        np.array([f"r{n}" for n in rng.permutation(len(rows))]),
        base.vectors[rows],
        base.log_norms[rows],
    )
    score = Score(
        data.draw(st.sampled_from(MODES)), lam=0.5, tau=data.draw(st.sampled_from([-0.3, 0.0, 0.4]))
    )
    k = data.draw(st.integers(1, 12))
    expected = oracle(queries, references, score, k)
    most = data.draw(st.integers(1, 60))
    best = sorted(range(len(expected)), key=lambda row: -expected[row][2])[:most]
    limited = [expected[row] for row in sorted(best)]
    for engine in ENGINES.values():
        assert triples(search(queries, references, score=score, k=k, engine=engine)) == expected
        assert (
            triples(search(queries, references, score=score, k=k, most=most, engine=engine))
            == limited
        )


@pytest.mark.parametrize("lam", [0.0, 1.0, 40.0])
@pytest.mark.parametrize("tau", [-0.5, 0.0, 9.0])
def test_hinge_with_any_weight(lam: float, tau: float) -> None:
    rng = np.random.default_rng(4)
    queries = embeddings(150, 8, "q", rng, spread=1.0).as_queries()
    references = embeddings(900, 8, "r", rng, spread=1.0).as_references()
    score = Score("hinge", lam=lam, tau=tau)
    expected = oracle(queries, references, score, 5)
    for engine in ENGINES.values():
        assert triples(search(queries, references, score=score, k=5, engine=engine)) == expected


@pytest.mark.parametrize("mode", ["soft", "hinge"])
@pytest.mark.parametrize(("spread", "lam"), [(0.05, 0.05), (1.5, 0.01)])
def test_few_queries_in_strips(mode: str, spread: float, lam: float) -> None:
    rng = np.random.default_rng(8)
    queries = embeddings(3, 16, "q", rng, spread=spread).as_queries()
    # Near copies of one image fill a strip, so that its list is too short; norms far apart make
    # bounds loose.
    vectors = rng.normal(size=(5000, 16))
    vectors[:60] = queries.vectors[0] + rng.normal(scale=0.01, size=(60, 16))
    vectors *= rng.lognormal(0, spread, size=(5000, 1)) / np.linalg.norm(
        vectors, axis=1, keepdims=True
    )
    references = Embeddings.from_features([f"r{n}" for n in range(5000)], vectors).as_references()
    score = Score(mode, lam=lam, clip=(-0.9, 0.9) if mode == "soft" else None)  # type: ignore[arg-type]
    if mode == "soft":
        prefixes = NormSortedReferences.of(references, tau=0.0)
        assert not encoding_pays(3, prefixes, 14, score)
        assert encoding_pays(1000, prefixes, 14, score), "the other way is for many queries"
    expected = oracle(queries, references, score, 6)
    for engine in ENGINES.values():
        assert triples(search(queries, references, score=score, k=6, engine=engine)) == expected


LIMITS = {
    "k per query": {"k": np.arange(60) % 9 + 1},
    "most over all": {"k": None, "most": 150},
    "most of k": {"k": 3, "most": 40},
    "above": {"k": None, "above": 0.55},
    "above, of k": {"k": 2, "above": 0.55},
    "above and most": {"k": None, "most": 30, "above": 0.7},
    "above everything": {"k": None, "above": 5.0},
    "everything": {"k": None, "above": -9.0},
}


@pytest.mark.parametrize("engine", ["faiss", "bfloat16"])
@pytest.mark.parametrize("memory", [4.0, 2**-13])
@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS.keys())
@pytest.mark.parametrize("mode", ["cosine", "strict", "soft", "hinge"])
def test_limits_are_those_of_the_whole_sorted_list(
    mode: str, limits: dict, memory: float, engine: str
) -> None:
    rng = np.random.default_rng(5)
    queries = embeddings(60, 6, "q", rng).as_queries()
    references = embeddings(900, 6, "r", rng).as_references()
    background = embeddings(20, 6, "b", rng).as_background()
    score = Score(mode, lam=0.3, normalization=ScoreNormalization(0.3))  # type: ignore[arg-type]
    everything = oracle(queries, references, score, 900, background)
    k = np.broadcast_to(900 if limits["k"] is None else limits["k"], 60)
    place: dict[str, int] = {}
    expected = []
    for triple in everything:
        place[triple[0]] = place.get(triple[0], 0) + 1
        if place[triple[0]] <= k[int(triple[0][1:])] and triple[2] >= limits.get("above", -np.inf):
            expected.append(triple)
    best = sorted(range(len(expected)), key=lambda row: -expected[row][2])[: limits.get("most")]
    found = search(
        queries,
        references,
        score=score,
        background=background,
        engine=ENGINES[engine],
        memory=memory,
        **limits,
    )
    assert triples(found) == [expected[row] for row in sorted(best)]


def test_limits_of_the_paper_count_before_its_deletion() -> None:
    rng = np.random.default_rng(6)
    queries, references = (
        embeddings(30, 5, "q", rng).as_queries(),
        embeddings(200, 5, "r", rng).as_references(),
    )
    expected = [
        triple for triple in oracle(queries, references, Score("paper"), 7) if triple[2] >= 0.8
    ]
    assert triples(search(queries, references, score=Score("paper"), k=7, above=0.8)) == expected
    with pytest.raises(UsageError, match="k=null requires"):
        search(queries, references, score=Score("paper"), k=None, most=5)


def test_references_on_disk_are_searched_within_the_stated_memory(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    whole = embeddings(60_000, 128, "r", rng).as_references()  # 31 MB
    np.save(tmp_path / "vectors.npy", whole.vectors)
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    references = ReferenceEmbeddings(whole.ids, mapped, whole.log_norms)
    queries = embeddings(2000, 128, "q", rng).as_queries()
    for mode in ("cosine", "hinge", "soft"):
        score = Score(mode, lam=0.1)  # type: ignore[arg-type]
        tracemalloc.start()
        found = search(queries, references, score=score, k=5, memory=2**-6)  # 16 MiB
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        # Beside the stated memory: the answer, and one id a reference where ids are checked.
        assert peak < 2**24 + 3 * whole.ids.nbytes + 2 * 2**20, f"{mode}: {peak / 2**20:.1f} MiB"
        assert triples(found) == triples(search(queries, whole, score=score, k=5))


def test_strict_looks_past_the_k_nearest_where_paper_cannot() -> None:
    near = np.array([[1.0, 0.01 * n] for n in range(5)]) * 0.5
    references = Embeddings.from_features(
        [f"r{n}" for n in range(6)], np.vstack([near, [[3.0, 3.0]]])
    ).as_references()
    queries = Embeddings.from_features(["q"], [[1.0, 0.0]]).as_queries()
    assert triples(search(queries, references, score=Score("paper"), k=5)) == []
    found = triples(search(queries, references, score=Score("strict"), k=5))
    assert [(q, r) for q, r, _ in found] == [("q", "r5")]


def test_swapping_query_and_reference_keeps_the_cosine_and_changes_the_hinge() -> None:
    first = Embeddings.from_features(["a"], [[3.0, 1.0]])
    second = Embeddings.from_features(["b"], [[1.0, 0.2]])
    score = {}
    for mode in ("cosine", "hinge"):
        there = search(first.as_queries(), second.as_references(), score=Score(mode, lam=0.5), k=1)
        back = search(second.as_queries(), first.as_references(), score=Score(mode, lam=0.5), k=1)
        score[mode] = (there.scores[0], back.scores[0])
    assert score["cosine"][0] == score["cosine"][1]
    assert score["hinge"][0] < score["hinge"][1] == score["cosine"][1], (
        "the larger norm may only be the reference's"
    )


class Coarse(NumpyExact):
    """An engine that rounds to two digits and says so: the certificate has to make up for it."""

    name = "coarse"
    rounding = 0.011

    def top(self, queries, references, m):  # type: ignore[no-untyped-def]
        return self._rounded(np.round(queries @ references.T, 2), m)

    def _rounded(self, products, m):  # type: ignore[no-untyped-def]
        order = np.argsort(-products, axis=1, kind="stable")[:, :m]
        return np.take_along_axis(products, order, axis=1), order


@pytest.mark.parametrize("mode", ["cosine", "hinge"])
def test_the_certificate_makes_an_inexact_engine_exact(mode: str) -> None:
    rng = np.random.default_rng(3)
    queries = embeddings(30, 3, "q", rng).as_queries()
    references = embeddings(500, 3, "r", rng).as_references()
    score = Score(mode, lam=0.3)  # type: ignore[arg-type]
    assert triples(search(queries, references, score=score, k=4, engine=Coarse())) == oracle(
        queries, references, score, 4
    )


def test_wrong_use_is_refused_with_words() -> None:
    rng = np.random.default_rng(0)
    queries, references = (
        embeddings(3, 4, "q", rng).as_queries(),
        embeddings(3, 4, "r", rng).as_references(),
    )
    with pytest.raises(AslError, match="takes queries, then references"):
        search(references, queries, score=Score("cosine"))  # type: ignore[arg-type]
    with pytest.raises(AslError, match="dimensions"):
        search(queries, embeddings(3, 5, "r", rng).as_references(), score=Score("cosine"))
    with pytest.raises(AslError, match="k: must be"):
        search(queries, references, score=Score("cosine"), k=0)
    with pytest.raises(UsageError, match="engine"):
        make_engine("fais")
    with pytest.raises(AslError, match="background"):
        search(queries, references, score=Score("cosine", normalization=ScoreNormalization()))
