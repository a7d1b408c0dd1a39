"""What was not used for the longest time goes first, until what is left fits."""

from __future__ import annotations

import pickle

from asl.matching.run.memory_cache import LruCache


def test_what_was_not_used_for_the_longest_time_goes_first() -> None:
    kept: LruCache[str, int] = LruCache(3)
    for number, key in enumerate("abc"):
        kept.put(key, number)
    assert kept.get("a") == 0  # used again
    kept.put("d", 3)
    assert [kept.get(key) for key in "abcd"] == [0, None, 2, 3]
    kept.put("a", 9)  # put again: not counted twice
    assert [kept.get(key) for key in "abcd"] == [9, None, 2, 3]


def test_sizes_are_added_up() -> None:
    kept: LruCache[str, str] = LruCache(10)
    for key, size in (("a", 4), ("b", 4), ("c", 8)):
        kept.put(key, key, size)
    assert (kept.get("a"), kept.get("b"), kept.get("c"), len(kept)) == (None, None, "c", 1)
    kept.put("c", "larger than all", 11)
    assert len(kept) == 0, "and what it replaces is not true any more"
    kept.put("a", "a", 10)
    assert kept.get("a") == "a"


def test_it_can_be_sent_to_another_process() -> None:
    kept: LruCache[str, int] = LruCache(2)
    kept.put("a", 1)
    assert pickle.loads(pickle.dumps(kept)).get("a") == 1
