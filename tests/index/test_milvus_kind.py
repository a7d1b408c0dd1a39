"""Index types as text, and what requests say."""

from __future__ import annotations

import pytest

from asl.index.milvus_kind import IndexKind
from asl.types import UsageError


@pytest.mark.parametrize(
    ("text", "whole", "exact", "searching"),
    [
        ("FLAT", "FLAT", True, {}),
        ("AUTOINDEX", "AUTOINDEX", False, {}),
        ("HNSW", "HNSW,M=16,efConstruction=200", False, {"ef": 100}),
        ("IVF_SQ8, nlist=8", "IVF_SQ8,nlist=8", False, {"nprobe": 8}),
        ("IVF_PQ,m=8", "IVF_PQ,nlist=128,m=8", False, {"nprobe": 16}),
        ("HNSW_SQ,sq_type=SQ8", "HNSW_SQ,M=16,efConstruction=200,sq_type=SQ8", False, {"ef": 100}),
        ("DISKANN", "DISKANN", False, {"search_list": 100}),
    ],
)
def test_types_and_their_parameters(text: str, whole: str, exact: bool, searching: dict[str, int]) -> None:
    kind = IndexKind.of(text)
    assert (str(kind), kind.exact, kind.searching(16, 100)) == (whole, exact, searching)
    assert IndexKind.of(whole) == kind
    assert kind.searching(40, 10) != searching or exact or whole in ("AUTOINDEX", "IVF_SQ8,nlist=8")


@pytest.mark.parametrize("text", ["", "FLATTER", "HNSW,M", "HNSW,=3", "HNSW,M=", "hnsw"])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"^milvus_index: expected"):
        IndexKind.of(text)
