"""A copy belongs to one array and one order of its rows, and goes when the array goes."""

from __future__ import annotations

import numpy as np

from asl.index.engines.held_arrays import HeldArrays


def array(rows: int) -> np.ndarray:
    return np.zeros((rows, 4), dtype=np.float32)


def test_a_copy_is_found_by_array_and_order() -> None:
    held: HeldArrays[str] = HeldArrays()
    first, second = array(10), array(10)
    order = np.arange(10)[::-1].copy()
    held.put(first, None, "as it is")
    held.put(first, order, "sorted")
    assert held.get(first, None) == "as it is"
    assert held.get(first, order.copy()) == "sorted"
    assert held.get(first, np.arange(10)) is None, "another order is another copy"
    assert held.get(second, None) is None
    assert held.get(first[:5], None) is None


def test_views_of_rows_are_found_and_other_views_are_not() -> None:
    held: HeldArrays[str] = HeldArrays()
    whole = array(10)
    held.put(whole, None, "copy")
    assert held.find_run(whole[3:7]) == ("copy", 3, 7)
    assert held.find_run(whole) == ("copy", 0, 10)
    assert held.find_run(whole[::2]) is None
    assert held.find_run(whole[:, :2]) is None
    assert held.find_run(whole[3:7].copy()) is None
    held.clear()
    assert held.find_run(whole) is None


def test_a_copy_dies_with_its_array() -> None:
    held: HeldArrays[str] = HeldArrays()
    for _ in range(50):  # memory of a dead array is used again
        one = array(1000)
        assert held.get(one, None) is None
        held.put(one, None, "copy")
        assert len(held) == 1
        del one
        assert len(held) == 0


def test_the_least_recently_used_copy_goes_first() -> None:
    held: HeldArrays[int] = HeldArrays()
    arrays = [array(n + 1) for n in range(3)]
    for number, one in enumerate(arrays):
        held.put(one, None, number)
    held.get(arrays[0], None)
    assert held.drop_oldest()
    assert [held.get(one, None) for one in arrays] == [0, None, 2]
    assert held.drop_oldest()
    assert held.drop_oldest()
    assert not held.drop_oldest()
