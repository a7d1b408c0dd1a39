from __future__ import annotations

from pathlib import Path

import pytest

from asl.data.hard_pair_lists import HardPair, read_hard_pairs, write_hard_pairs
from asl.types import AslError

NAMES = [("a b.jpg", "ä,ö.jpg"), ("c.jpg", "a b.jpg")]


def test_pairs_come_back_as_written(tmp_path: Path) -> None:
    write_hard_pairs(NAMES, tmp_path / "pairs.csv")
    assert read_hard_pairs(tmp_path / "pairs.csv") == [
        HardPair(*names, directed=False) for names in NAMES
    ]
    assert (tmp_path / "pairs.csv").read_text().startswith("first,second\n"), (
        "no column that says nothing"
    )


def test_a_direction_comes_back_as_written(tmp_path: Path) -> None:
    pairs = [HardPair(*NAMES[0], directed=True), HardPair(*NAMES[1])]
    write_hard_pairs(pairs, tmp_path / "pairs.csv")
    assert read_hard_pairs(tmp_path / "pairs.csv") == pairs


def test_a_header_and_a_direction_are_optional(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("a,b\n\nc,d,1\ne,f,\ng,h,False\ni,j,Yes\n")
    read = read_hard_pairs(tmp_path / "pairs.csv")
    assert [pair[:2] for pair in read] == [
        ("a", "b"),
        ("c", "d"),
        ("e", "f"),
        ("g", "h"),
        ("i", "j"),
    ]
    assert [pair.directed for pair in read] == [False, True, False, False, True]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("first,second\na,b\nc\n", "line 3"),
        ("a,\n", "line 1"),
        ("", "no pair"),
        ("first,second,cosine\na,b,0.7\n", "line 2: .*`directed` \\(1 or 0\\), got 'a,b,0.7'"),
        ("a,b,1,2\n", "line 1"),
    ],
)
def test_a_broken_list_is_named_by_its_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(AslError, match=message):
        read_hard_pairs(tmp_path / "pairs.csv")
