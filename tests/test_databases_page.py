"""The recipes of docs/databases.md on real databases give the lists of an exact search."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asl.index.exact.exact_search import search
from asl.scoring.score import Score, encode_queries, encode_references, usual_clip
from asl.types import Embeddings, QueryEmbeddings, ReferenceEmbeddings
from tests.postgres_server import running_postgres

PAGE = Path(__file__).resolve().parents[1] / "docs" / "databases.md"
K = 7
Names = dict[str, Any]


def some(count: int, prefix: str, seed: int) -> Embeddings:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, 8)) * rng.lognormal(0, 0.5, size=(count, 1))
    return Embeddings.from_features(
        [f'{prefix}/photo {n}\'s \\ "é".jpg' for n in range(count)], features
    )


@pytest.fixture
def names() -> Names:
    """The variables of the page's first part, of drawn embeddings."""
    references, queries = some(400, "r", 1).as_references(), some(20, "q", 2).as_queries()
    score = Score("soft", lam=0.1, clip=usual_clip(references.log_norms))
    asked = encode_queries(queries, score)
    plain = asked.copy()
    plain[:, -2:] = 0
    stored = encode_references(references, score)
    values = (references, queries, score, stored, asked, plain)
    return dict(
        zip(("references", "queries", "score", "stored", "asked", "plain"), values, strict=True)
    )


def recipe(title: str) -> list[str]:
    """Python blocks of a section of the page."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]
    return re.findall(r"```python\n(.*?)\n```", section, re.DOTALL)


def lists(names: Names, mode: str) -> list[list[tuple[str, float]]]:
    answer: Callable[[int, int], list[tuple[str, float]]] = names[mode]
    return [answer(row, K) for row in range(len(names["queries"]))]


def check(names: Names, mode: str) -> None:
    """Compare ids and their order, and scores within the rounding of a database."""
    queries: QueryEmbeddings = names["queries"]
    references: ReferenceEmbeddings = names["references"]
    score = names["score"] if mode == "soft" else Score(mode, lam=0.1)  # type: ignore[arg-type]
    exact = search(queries, references, score=score, k=K)
    expected: list[list[tuple[str, float]]] = [[] for _ in range(len(queries))]
    for row, name, value in zip(
        exact.query_index, exact.reference_ids.tolist(), exact.scores.tolist(), strict=True
    ):
        expected[row].append((name, value))
    for found, wanted in zip(lists(names, mode), expected, strict=True):
        assert [name for name, _ in found] == [name for name, _ in wanted], mode
        values = [value for _, value in found], [value for _, value in wanted]
        np.testing.assert_allclose(*values, atol=1e-5)


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    pytest.importorskip("psycopg", reason="the client of PostgreSQL is not installed: make server")
    with running_postgres() as address:
        yield address


@pytest.mark.server
def test_postgres(names: Names, postgres: str) -> None:
    *exact, approximate = recipe("PostgreSQL with pgvector")
    for block in exact:
        exec(block.replace("postgresql://localhost/photos", postgres), names)
    for mode in ("soft", "strict", "hinge"):
        check(names, mode)
    before = lists(names, "soft")
    exec(approximate, names)
    names["database"].execute("SET enable_seqscan = off")
    plan = names["database"].execute(
        "EXPLAIN SELECT id FROM photos ORDER BY vector <#> %s::vector LIMIT 7",
        (str(names["asked"][0].tolist()),),
    )
    assert "Index Scan" in str(plan.fetchall())
    pairs = zip(before, lists(names, "soft"), strict=True)
    assert sum(len(set(first) & set(second)) for first, second in pairs) > 0.95 * 20 * K
    names["database"].close()


@pytest.mark.server
@pytest.mark.filterwarnings("ignore")  # of its client
def test_qdrant(names: Names) -> None:
    pytest.importorskip("qdrant_client", reason="qdrant-client is not installed")
    (block,) = recipe("Qdrant")
    exec(block.replace("http://localhost:6333", ":memory:"), names)
    for mode in ("soft", "strict", "hinge"):
        check(names, mode)
    names["client"].close()
