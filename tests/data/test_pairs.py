"""Scored pairs survive their files to the last digit; malformed lines are named by number."""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asl.data.pairs import read_columns, read_pairs, write_pairs
from asl.types import AslError, ScoredPairs

IDS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=6)


def triples(pairs: ScoredPairs) -> list[tuple[str, str, float]]:
    return list(
        zip(
            pairs.query_ids.tolist(),
            pairs.reference_ids.tolist(),
            pairs.scores.tolist(),
            strict=True,
        )
    )


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(
        st.tuples(IDS, IDS, st.floats(allow_nan=False, allow_infinity=False)),
        min_size=1,
        max_size=8,
    )
)
def test_round_trip_to_the_last_bit(
    tmp_path: Path, suffix: str, rows: list[tuple[str, str, float]]
) -> None:
    pairs = ScoredPairs.from_ids([r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows])
    path = tmp_path / f"p.{suffix}"
    write_pairs(pairs, path)
    assert triples(read_pairs(path)) == triples(pairs)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_single_precision_scores_stay_distinct_and_columns_are_added(
    tmp_path: Path, suffix: str
) -> None:
    scores = np.float32(0.7) + np.arange(5, dtype=np.float32) * np.finfo(np.float32).eps
    pairs = ScoredPairs.from_ids([f"q{n}" for n in range(5)], ["r"] * 5, scores)
    write_pairs(pairs, tmp_path / f"p.{suffix}", columns={"verdict": ["copy"] * 5})
    again = read_pairs(tmp_path / f"p.{suffix}")
    assert np.array_equal(again.scores.astype(np.float32), scores)
    assert len(np.unique(again.scores)) == 5


def file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "p.csv"
    path.write_text(text, newline="")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "query_id,reference_id,score\nQ1,R1,0.5\nQ2,R2,-1e-3\n",
        "Q1,R1,0.5\nQ2,R2,-1e-3\n",
        "Q1, R1 ,0.5\r\n\r\n Q2,R2, -0.001\r\n",
        "\ufeffquery_id,reference_id,score,verdict\nQ1,R1,0.5,copy\nQ2,R2,-0.001,no\n",
        '"Q1","R1",0.5\n"Q2","R2",-0.001',
    ],
)
def test_the_forms_that_people_write(tmp_path: Path, text: str) -> None:
    assert triples(read_pairs(file(tmp_path, text))) == [("Q1", "R1", 0.5), ("Q2", "R2", -0.001)]


def test_a_header_alone_and_an_empty_file_are_no_predictions(tmp_path: Path) -> None:
    assert len(read_pairs(file(tmp_path, "query_id,reference_id,score\n"))) == 0
    assert len(read_pairs(file(tmp_path, ""))) == 0


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("query_id,reference_id,score\nQ1,R1,0.5\nQ2,R2,high\n", 3),
        ("Q1,R1,0.5\nQ2,R2\n", 2),
        ("Q1,R1,0.5\nQ2,R2,nan\n", 2),
        ("Q1,R1,0.5\nQ2,R2,inf\n", 2),
        ("Q1,R1,0.5\nQ2,,0.1\n", 2),
        ("Q1,R1,0.5\n,R1,0.1\n", 2),
        ("Q1,R1,0.5\nQ1,R1,0.5,more,and,more\nQ2,R2,x", 2),
        ("query,ref,score\nQ1,R1,0.5\n", 1),
        ("Q1,R1,x\n", 1),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, text: str, line: int) -> None:
    with pytest.raises(AslError, match=rf"p\.csv, line {line}"):
        read_pairs(file(tmp_path, text))


def test_parquet_without_the_columns_and_with_empty_ids(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    pq.write_table(pa.table({"query_id": ["a"], "score": [1.0]}), path)
    with pytest.raises(AslError, match="reference_id"):
        read_pairs(path)
    pq.write_table(
        pa.table({"query_id": ["a", None], "reference_id": ["b", "c"], "score": [1.0, 2.0]}), path
    )
    with pytest.raises(AslError, match=r"query_id: 1 empty"):
        read_pairs(path)


def test_parquet_scores_that_are_no_numbers_are_named_by_row(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    ids = {"query_id": ["Q1", "Q2"], "reference_id": ["R1", "R2"]}
    for scores, said in (
        (["0.5", "n/a"], "column score, row 1: expected a finite number, got 'n/a'"),
        (["0.5", "0.6"], "column score: expected numbers, got string"),
        ([0.5, None], "column score: 1 empty value"),
    ):
        pq.write_table(pa.table({**ids, "score": scores}), path)
        with pytest.raises(AslError, match=rf"p\.parquet: .*{said}"):
            read_pairs(path)


def test_missing_files_are_named(tmp_path: Path) -> None:
    for name in ("gone.csv", "gone.parquet"):
        with pytest.raises(AslError, match=name):
            read_pairs(tmp_path / name)


NAMES = ["=cmd|' /C calc'!A0", "+1.jpg", "-2.jpg", "@x", "./=y", "././@z", "a/=b", "./plain"]


def test_ids_are_no_formulas_and_come_back(tmp_path: Path) -> None:
    pairs = ScoredPairs.from_ids(NAMES, NAMES[::-1], [n / 10 for n in range(len(NAMES))])
    write_pairs(pairs, tmp_path / "p.csv")
    cells = [
        cell
        for line in csv.reader((tmp_path / "p.csv").read_text().splitlines())
        for cell in line[:2]
    ]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t"))]
    again = read_pairs(tmp_path / "p.csv")
    assert again.queries[again.query_index].tolist() == NAMES


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text on this system")
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_pairs_are_read_from_a_folder_whose_name_is_not_utf8(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / os.fsdecode(b"\xff") / f"pairs.{suffix}"
    write_pairs(ScoredPairs.from_ids(["q"], ["r"], [0.5]), path)
    assert triples(read_pairs(path)) == [("q", "r", 0.5)]
    assert read_columns(path) == {}
