"""Ground truth files: as published, with kinds, and what a broken one is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from asl.data.truth import read_truth, write_truth
from asl.types import AslError, TruthPairs


def file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "truth.csv"
    path.write_text(text)
    return path


def test_published_form_with_queries_that_match_nothing(tmp_path: Path) -> None:
    truth = read_truth(file(tmp_path, "query_id,reference_id\nQ0,\nQ1,R7\nQ1,R8\n"))
    assert truth.queries.tolist() == ["Q1", "Q0"] or truth.queries.tolist() == ["Q0", "Q1"]
    assert list(zip(truth.query_ids.tolist(), truth.reference_ids.tolist(), strict=True)) == [
        ("Q1", "R7"),
        ("Q1", "R8"),
    ]
    assert truth.kinds == {}


def test_header_is_optional_and_kinds_are_kept(tmp_path: Path) -> None:
    truth = read_truth(file(tmp_path, "Q1,R7,crop\r\n\r\nQ2,,hard:video\r\n"))
    assert truth.kinds == {"Q1": "crop", "Q2": "hard:video"}


def test_round_trip(tmp_path: Path) -> None:
    truth = TruthPairs.from_pairs(
        [("ä, b", "R1"), ("ä, b", "R2"), ("Q2", "R1")],
        other_queries=["Q3"],
        kinds={"Q3": "hard:angle", "Q2": "crop"},
    )
    write_truth(truth, tmp_path / "deep" / "t.csv")
    again = read_truth(tmp_path / "deep" / "t.csv")
    assert again.queries.tolist() == truth.queries.tolist()
    assert again.query_ids.tolist() == truth.query_ids.tolist()
    assert again.reference_ids.tolist() == truth.reference_ids.tolist()
    assert again.kinds == truth.kinds
    assert [p.name for p in (tmp_path / "deep").iterdir() if p.suffix == ".csv"] == ["t.csv"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("query_id,reference_id\nQ1,R1\nQ2\n", "line 3"),
        ("Q1,R1\n,R2\n", "line 2"),
        ("Q1,R1,crop\nQ1,R2,blur\n", "line 2.*two kinds"),
        ("Q1,R1\nQ1,R1\n", "duplicate pair"),
        ("query,ref\nQ1,R1\n", "line 1.*header"),
        ("", "no query"),
        ("query_id,reference_id\n", "no query"),
    ],
)
def test_broken_files_are_told_where(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(AslError, match=message):
        read_truth(file(tmp_path, text))


def test_missing_file_and_binary_file(tmp_path: Path) -> None:
    with pytest.raises(AslError, match=r"nowhere\.csv"):
        read_truth(tmp_path / "nowhere.csv")
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00Q")
    with pytest.raises(AslError, match=r"x\.csv"):
        read_truth(tmp_path / "x.csv")


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "pairs", "queries"),
    [("public", 4991, 25000), ("subset_1", 4991, 4991), ("dev2", 5008, 5008)],
)
def test_the_challenges_own_files(shared_data: Path, name: str, pairs: int, queries: int) -> None:
    truth = read_truth(shared_data / "isc2021" / f"{name}_ground_truth.csv")
    assert (len(truth), len(truth.queries)) == (pairs, queries)


def test_ids_are_no_formulas_and_come_back(tmp_path: Path) -> None:
    truth = TruthPairs.from_pairs([("=1+1", "@a"), ("b", "-c.jpg")], other_queries=["+d"])
    write_truth(truth, tmp_path / "t.csv")
    text = (tmp_path / "t.csv").read_text()
    assert text == "query_id,reference_id\n./=1+1,./@a\nb,./-c.jpg\n./+d,\n"
    again = read_truth(tmp_path / "t.csv")
    assert again.queries.tolist() == truth.queries.tolist()
    assert again.reference_ids.tolist() == truth.reference_ids.tolist()
