"""Prefixes by bisection, and the strips that references are cut into."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from asl.index.exact.norm_sorted import NormSortedReferences, strip_count, strips
from asl.scoring.score import SAME_NORM, admissible
from asl.types import ReferenceEmbeddings

NORMS = st.lists(st.sampled_from([-0.3, -0.1, 0.0, 0.1, 0.2, 0.3]), min_size=1, max_size=30)


@settings(deadline=None)
@given(queries=NORMS, references=NORMS, tau=st.sampled_from([-0.1, -SAME_NORM, 0.0, 0.1, 0.2]))
def test_a_prefix_is_what_the_rule_admits(
    queries: list[float], references: list[float], tau: float
) -> None:
    left, right = np.array(queries, dtype=np.float32), np.array(references, dtype=np.float32)
    ids = np.array([f"r{n}" for n in range(len(right))])
    vectors = np.eye(len(right), dtype=np.float32)
    prefixes = NormSortedReferences.of(ReferenceEmbeddings(ids, vectors, right), tau=tau)
    allowed = admissible(left[:, None], right[None, :], tau=tau)
    lengths = prefixes.lengths(left)
    assert lengths.tolist() == allowed.sum(axis=1).tolist()
    for row, length in enumerate(lengths.tolist()):
        rows = prefixes.original(np.arange(length))
        assert allowed[row, rows].all()
        assert prefixes.strip(0, length).argmax(axis=1).tolist() == rows.tolist()


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(0, 50), min_size=1, max_size=40),
    borders=st.tuples(st.integers(0, 25), st.integers(26, 60)),
    count=st.integers(1, 45),
    width=st.integers(1, 60),
)
def test_strips_cover_all_once_and_end_where_prefixes_do(
    lengths: list[int], borders: tuple[int, int], count: int, width: int
) -> None:
    low, high = borders
    rising = np.sort(np.array(lengths, dtype=np.int64))
    cuts = strips(rising, low, high, count=count, width=width)
    assert [row for start, stop in cuts for row in range(start, stop)] == list(range(low, high))
    assert all(0 < stop - start <= width for start, stop in cuts)
    if count >= len(lengths):  # every prefix has its own end
        assert not any(start < length < stop for start, stop in cuts for length in lengths)


def test_dearer_lists_mean_fewer_strips() -> None:
    lengths = np.array([0, 1_000_000])
    counts = [
        strip_count(lengths, dim=256, m=18, list_entry_cost=cost)
        for cost in (12_800, 100_000, 800_000)
    ]
    assert counts == [33, 12, 4]
