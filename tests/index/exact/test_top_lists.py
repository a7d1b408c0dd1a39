"""Lists hold the best entries, and their bound covers every entry that was left out."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from asl.index.engines.numpy_exact import NumpyExact
from asl.index.exact.top_lists import TopLists, bound_of_list, encoded_rounding, kth

SCORES = st.lists(st.integers(-8, 8), min_size=1, max_size=12)


@settings(deadline=None, max_examples=60)
@given(lists=st.lists(SCORES, min_size=1, max_size=6), m=st.integers(1, 8), k=st.integers(1, 8))
def test_the_best_are_kept_and_the_bound_holds(lists: list[list[int]], m: int, k: int) -> None:
    best, start = TopLists(1, m), 0
    for scores in lists:
        values = np.array([scores], dtype=np.float32) / 8
        width = min(m, len(scores))
        order = np.argsort(-values, axis=1, kind="stable")[:, :width]
        top = np.take_along_axis(values, order, axis=1)
        bound = bound_of_list(top, width, len(scores), rounding=0.0)
        best.merge(np.array([0]), top, order + start, bound, 0.0)
        start += len(scores)
    everything = np.concatenate(lists).astype(np.float32) / 8
    expected = np.sort(everything)[::-1][:m]
    held = best.scores[0][np.isfinite(best.scores[0])]
    assert sorted(held.tolist(), reverse=True) == expected.tolist()
    left_out = np.setdiff1d(np.arange(start), best.rows[0])
    assert (everything[left_out] <= best.bound[0]).all()
    best.drop_beyond(np.array([min(k, m)]))
    left_out = np.setdiff1d(np.arange(start), best.rows[0])
    assert (everything[left_out] <= best.bound[0]).all()


def test_blocks_are_merged_by_row() -> None:
    rng = np.random.default_rng(0)
    queries, references = (rng.normal(size=(n, 4)).astype(np.float32) for n in (5, 40))
    best = TopLists(5, 6)
    for start in (0, 13, 26):
        stop = min(start + 13, 40) if start < 26 else 40
        block = references[start:stop]
        best.search(NumpyExact(), queries, block, start=start, rounding=0.0)
    _, rows = NumpyExact().top(queries, references, 6)
    assert np.sort(best.rows, axis=1).tolist() == np.sort(rows, axis=1).tolist()


def test_forgotten_references_leave_room() -> None:
    best = TopLists(1, 3)
    rows = np.array([[0, 5, 9]])
    scores = np.array([[0.9, 0.8, 0.7]], dtype=np.float32)
    best.merge(np.array([0]), scores, rows, np.array([-np.inf]), 0.0)
    best.forget(np.array([0]), 4, 8)
    assert sorted(best.rows[0].tolist()) == [-1, 0, 9]
    assert kth(best.scores, np.array([2])).tolist() == [np.float32(0.7)]


def test_the_error_of_encoded_vectors_grows_with_their_last_dimensions() -> None:
    engine = NumpyExact()
    queries = np.array([[1.0, 0.1, -2.0]], dtype=np.float32)
    references = np.array([[1.0, 3.0, 1.0]], dtype=np.float32)
    assert encoded_rounding(engine, queries, references) == engine.rounding * (1 + 2 * 6.0)
