from __future__ import annotations

from pathlib import Path

import pytest

from asl.data.hard_pairs import read_hard_pairs, write_hard_pairs
from asl.types import AslError


def test_pairs_come_back_as_written(tmp_path: Path) -> None:
    pairs = [("a b.jpg", "ä,ö.jpg"), ("c.jpg", "a b.jpg")]
    write_hard_pairs(pairs, tmp_path / "pairs.csv")
    assert read_hard_pairs(tmp_path / "pairs.csv") == pairs


def test_a_header_is_optional(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("a,b\n\nc,d\n")
    assert read_hard_pairs(tmp_path / "pairs.csv") == [("a", "b"), ("c", "d")]


@pytest.mark.parametrize(
    ("text", "message"), [("first,second\na,b\nc\n", "line 3"), ("a,\n", "line 1"), ("", "no pair")]
)
def test_a_broken_list_is_named_by_its_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(AslError, match=message):
        read_hard_pairs(tmp_path / "pairs.csv")
