"""Lists of parts merge into the list of one search, byte for byte."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from asl.data.checked_parquet import read_parquet
from asl.data.pairs import write_pairs
from asl.index.exact.exact_search import search
from asl.pipeline.merged_lists import MergedLists, merge_lists
from asl.scoring.score import Score, describe_pairs
from asl.types import AslError, Embeddings, QueryEmbeddings, ReferenceEmbeddings, ScoredPairs


def some(count: int, prefix: str, seed: int) -> Embeddings:
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, 3, size=(count, 3)) + 0.5  # many equal scores
    return Embeddings.from_features([f"{prefix},{n}.jpg" for n in range(count)], corners)


REFERENCES, QUERIES = some(120, "r", 1).as_references(), some(30, "q", 2).as_queries()


def write_search(
    path: Path,
    queries: QueryEmbeddings,
    references: ReferenceEmbeddings,
    *,
    score: Score,
    k: int | None,
    most: int | None = None,
) -> Path:
    pairs = search(queries, references, score=score, k=k, most=most)
    write_pairs(pairs, path, columns=describe_pairs(pairs, queries, references))
    return path


def merged(paths: list[Path], output: Path, *, k: int | None, most: int | None = None) -> Path:
    found: MergedLists = merge_lists(paths, k=k, most=most)
    assert not found.short
    write_pairs(found.pairs, output, columns=found.columns)
    return output


@pytest.mark.parametrize("mode", ["cosine", "strict", "soft", "hinge"])
def test_parts_of_the_references(tmp_path: Path, mode: str) -> None:
    score = Score(mode, 0.3, 0.1, (0.0, 1.0) if mode == "soft" else None)  # type: ignore[arg-type]
    parts = np.array_split(np.random.default_rng(3).permutation(120), 3)
    for suffix in (".csv", ".parquet"):
        paths = [
            write_search(
                tmp_path / f"{part}{suffix}", QUERIES, REFERENCES.take(rows), score=score, k=7
            )
            for part, rows in enumerate(parts)
        ]
        whole = write_search(tmp_path / f"whole{suffix}", QUERIES, REFERENCES, score=score, k=7)
        found = merged(paths, tmp_path / f"merged{suffix}", k=7)
        if suffix == ".csv":
            assert found.read_bytes() == whole.read_bytes()
        else:
            assert read_parquet(found).to_pylist() == read_parquet(whole).to_pylist()


def test_parts_of_the_queries(tmp_path: Path) -> None:
    score = Score("hinge", 0.3)
    paths = [
        write_search(tmp_path / f"{part}.csv", QUERIES.take(rows), REFERENCES, score=score, k=7)
        for part, rows in enumerate(np.array_split(np.arange(30), 4))
    ]
    whole = write_search(tmp_path / "whole.csv", QUERIES, REFERENCES, score=score, k=7)
    found = merged(paths, tmp_path / "merged.csv", k=None)
    assert found.read_bytes() == whole.read_bytes()


def test_the_best_over_all_queries(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)  # scores differ, so that nothing is decided by ids
    references = ReferenceEmbeddings.from_features(
        [f"r{n}" for n in range(90)], rng.normal(size=(90, 4))
    )
    queries = QueryEmbeddings.from_features([f"q{n}" for n in range(20)], rng.normal(size=(20, 4)))
    keys = {"score": Score("hinge", 0.3), "k": None, "most": 25}
    paths = [
        write_search(tmp_path / f"{part}.csv", queries, references.take(rows), **keys)  # type: ignore[arg-type]
        for part, rows in enumerate(np.array_split(np.arange(90), 3))
    ]
    write_search(tmp_path / "whole.csv", queries, references, **keys)  # type: ignore[arg-type]
    lines = merged(paths, tmp_path / "merged.csv", k=None, most=25).read_bytes().splitlines()
    assert sorted(lines) == sorted((tmp_path / "whole.csv").read_bytes().splitlines())


def write(path: Path, *pairs: tuple[str, str, float], **columns: list[str]) -> Path:
    ids = [[pair[place] for pair in pairs] for place in range(2)]
    scored = ScoredPairs.from_ids(*ids, np.array([pair[2] for pair in pairs]))
    write_pairs(scored, path, columns=columns)
    return path


def test_short_lists_are_reported_and_empty_ones_are_none(tmp_path: Path) -> None:
    long = write(tmp_path / "a.csv", ("q", "a", 0.1), ("q", "b", 0.2), ("p", "a", 0.4))
    short = write(tmp_path / "b.csv", ("q", "c", 0.3), ("p", "c", 0.2))
    empty = tmp_path / "c.csv"
    empty.write_text("query_id,reference_id,score\n")
    found = merge_lists([long, short, empty], k=2, most=None)
    assert found.short == {short: 1}
    rows = list(
        zip(found.pairs.query_ids.tolist(), found.pairs.reference_ids.tolist(), strict=True)
    )
    assert sorted(rows) == [("p", "a"), ("p", "c"), ("q", "b"), ("q", "c")]


def test_lists_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    first = write(tmp_path / "a.csv", ("q", "a", 0.1), ("q", "b", 0.2))
    again = write(tmp_path / "b.csv", ("q", "c", 0.3), ("q", "b", 0.3))
    with pytest.raises(AslError, match=r"a\.csv, .*b\.csv: 1 pair.* in both, e\.g\. 'q' and 'b'"):
        merge_lists([first, again], k=2, most=None)
    other = write(tmp_path / "c.csv", ("q", "d", 0.3), reason=["seen"])
    with pytest.raises(AslError, match=r"c\.csv: has the columns reason, .*a\.csv has those of"):
        merge_lists([first, other], k=2, most=None)
    (tmp_path / "d.csv").write_text("query_id,reference_id,score\nq,x,much\n")
    with pytest.raises(AslError, match=r"d\.csv, line 2"):
        merge_lists([first, tmp_path / "d.csv"], k=2, most=None)


def test_a_list_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(AslError, match=r"lists: there is no file .*nowhere\.csv; give lists"):
        merge_lists([tmp_path / "nowhere.csv"], k=None, most=None)
