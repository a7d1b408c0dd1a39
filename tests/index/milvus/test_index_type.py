"""Index types as text, and what requests say."""

from __future__ import annotations

import pytest

from asl.index.milvus.index_type import IndexKind
from asl.types import UsageError


@pytest.mark.parametrize(
    ("text", "whole", "exact", "searching", "farther"),
    [
        ("FLAT", "FLAT", True, {}, {}),
        ("AUTOINDEX", "AUTOINDEX", False, {}, {}),
        ("HNSW", "HNSW,M=16,efConstruction=200", False, {"ef": 100}, {"ef": 160}),
        ("HNSW, M=8", "HNSW,M=8,efConstruction=200", False, {"ef": 100}, {"ef": 160}),
        ("IVF_SQ8,nlist=8", "IVF_SQ8,nlist=8", False, {"nprobe": 8}, {"nprobe": 8}),
        ("IVF_FLAT", "IVF_FLAT,nlist=128", False, {"nprobe": 16}, {"nprobe": 40}),
        ("DISKANN", "DISKANN", False, {"search_list": 100}, {"search_list": 160}),
    ],
)
def test_types_and_their_parameters(
    text: str, whole: str, exact: bool, searching: dict[str, int], farther: dict[str, int]
) -> None:
    kind = IndexKind.of(text)
    assert (str(kind), kind.exact, kind.searching(16, 100)) == (whole, exact, searching)
    assert IndexKind.of(whole) == kind
    assert kind.searching(40, 10) == farther


@pytest.mark.parametrize("text", ["", "FLATTER", "hnsw", "IVF_PQ"])
def test_a_type_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"^milvus_index: expected one of AUTOINDEX, DISKANN"):
        IndexKind.of(text)


@pytest.mark.parametrize(
    "pair", ["M", "=3", "M=", "m=32", "M=0", "M=-5", "M=1e3", "M=abc", "M=²", "nlist=4"]
)
def test_a_parameter_that_is_none_is_refused(pair: str) -> None:
    with pytest.raises(
        UsageError, match=r"^milvus_index: HNSW takes M=NUMBER, efConstruction=NUMBER, got"
    ):
        IndexKind.of(f"HNSW,{pair}")
    with pytest.raises(UsageError, match=r"^milvus_index: FLAT takes no parameters"):
        IndexKind.of(f"FLAT,{pair}")


def test_a_file_has_fewer_types_than_a_server() -> None:
    IndexKind.of("DISKANN").check_place("http://milvus.example:19530")
    IndexKind.of("HNSW").check_place("library.db")
    with pytest.raises(UsageError, match="DISKANN needs a server"):
        IndexKind.of("DISKANN").check_place("library.db")
