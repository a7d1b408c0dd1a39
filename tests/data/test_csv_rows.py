"""Rows fit their header, and an unknown header does not count as data."""

from __future__ import annotations

from pathlib import Path

import pytest

from asl.data.csv_rows import read_rows
from asl.data.hard_pair_lists import read_hard_pairs
from asl.data.pairs import read_pairs
from asl.data.truth import read_groups, read_truth
from asl.types import AslError

HEADER = ["query_id", "reference_id"]


def file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "t.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text",
    [
        "query_id,reference_id,score\nQ1,R1,0,95\nQ2,R9,0,20\n",
        "Q0,R0,1,5\nQ1,R1,0,95\n",
        "query_id,reference_id,score,verdict\nQ1,R1,0.5,a,b\n",
    ],
)
def test_decimal_commas_are_an_error_of_their_line(tmp_path: Path, text: str) -> None:
    number = 1 if text.startswith("Q0") else 2
    with pytest.raises(AslError, match=rf"t\.csv, line {number}: \d values under .*with a point"):
        read_pairs(file(tmp_path, text))


def test_a_row_wider_than_its_header_is_an_error(tmp_path: Path) -> None:
    path = file(tmp_path, "query_id,reference_id\nQ1,R1\nQ2,R2,R3\n")
    with pytest.raises(AslError, match="line 3: 3 values under a header of 2: 'Q2,R2,R3'"):
        read_truth(path)
    with pytest.raises(AslError, match="line 1: 4 values under the 3 columns"):
        read_truth(file(tmp_path, "Q1,R1,crop,x\n"))
    with pytest.raises(AslError, match="line 2"):
        read_groups(file(tmp_path, "query_id,group\nQ1,a,b\n"))
    with pytest.raises(AslError, match="line 2"):
        read_hard_pairs(file(tmp_path, "first,second\na,b,1\n"))


@pytest.mark.parametrize(
    "header",
    [
        "q_id,r_id",
        "query,reference",
        "Query ID,Reference ID",
        "copy,original",
        "image,ref_name",
        "foo,bar",
        "photo,source",
    ],
)
def test_an_unknown_header_is_an_error_about_line_1(tmp_path: Path, header: str) -> None:
    path = file(tmp_path, f"{header}\nQ1,R1\nQ2,R2\nQ3,\n")
    with pytest.raises(AslError, match=r"line 1: expected the header query_id,reference_id"):
        read_truth(path)


@pytest.mark.parametrize(
    "first",
    ["noon.jpg,night.jpg", "Q0,", "IMG1,cat", "写真1,x"],
)
def test_a_first_row_of_ids_is_data(tmp_path: Path, first: str) -> None:
    rows = read_rows(file(tmp_path, f"{first}\nQ1,R1\n"), header=HEADER)
    assert [number for number, _ in rows] == [1, 2]


def test_words_among_words_are_data(tmp_path: Path) -> None:
    assert len(read_rows(file(tmp_path, "noon,night\ncat,dog\n"), header=HEADER)) == 2
    assert len(read_rows(file(tmp_path, "noon,night\n"), header=HEADER)) == 1
