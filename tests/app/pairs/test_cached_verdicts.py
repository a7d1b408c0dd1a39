"""Verdicts are taken from the cache where the same thumbnails were compared, in the order asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asl.app.library.facts import Facts
from asl.app.library.image_store import ImageStore
from asl.app.library.records import Record
from asl.app.pairs import cached_verdicts
from asl.app.pairs.cached_verdicts import recall_verdicts, verify_with_cache
from asl.app.pairs.pair_verdict import PairVerdict
from asl.app.pairs.pair_verifier import verifier_id

FEATURE = np.ones(2, np.float32)
PAIRS = [("a", "b"), ("b", "c"), ("a", "none"), ("a", "c")]


def store(path: Path, thumbnails: dict[str, bytes]) -> Path:
    with closing(ImageStore(path, model="m", dim=2)) as opened:
        facts = Facts(1, 1, 1)
        opened.put([Record(key, facts, FEATURE, jpeg) for key, jpeg in thumbnails.items()], [])
    return path


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, str]]:
    """Pairs that were compared; a pair without a thumbnail has a reason instead of a verdict."""
    calls: list[tuple[str, str]] = []

    def verify(pairs: list[tuple[str, str]], **_: Any) -> Iterator[tuple[Any, Any]]:
        for pair in pairs:
            calls.append(pair)
            yield pair, "no thumbnail" if "none" in pair else PairVerdict(len(calls) / 10, 0.0)

    monkeypatch.setattr(cached_verdicts, "verify_all", verify)
    monkeypatch.setenv("ASL_CACHE", str(tmp_path / "cache"))
    return calls


def test_only_new_pairs_are_compared(compared: list[tuple[str, str]], tmp_path: Path) -> None:
    first = store(tmp_path / "1.sqlite", {"a": b"1", "b": b"2", "c": b"3"})
    results = list(verify_with_cache(PAIRS, store=first, workers=1))
    assert [pair for pair, _ in results] == compared == PAIRS
    del compared[:]
    again = [PAIRS[3], ("c", "a"), PAIRS[0], PAIRS[2]]
    second = dict(verify_with_cache(again, store=first, workers=1))
    assert list(second) == again
    assert compared == [("c", "a"), ("a", "none")], "another order is another pair"
    assert second["a", "c"] == dict(results)["a", "c"] == PairVerdict(0.4, 0.0)
    assert second["a", "none"] == "no thumbnail"


def test_decided_pairs_are_recalled_from_the_store_and_the_cache(
    compared: list[tuple[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    thumbnails = {"a": b"1", "b": b"2", "c": b"3"}
    first = store(tmp_path / "1.sqlite", thumbnails)
    verdicts = dict(verify_with_cache(PAIRS, store=first, workers=1))
    other = store(tmp_path / "2.sqlite", thumbnails)
    asked = [*PAIRS, ("c", "b")]
    with closing(ImageStore(other, model="m", dim=2)) as opened:
        opened.put_verdicts(verifier_id(), [("c", "b", "{}")])
        known = recall_verdicts(asked, store=opened, path=other)
        assert known == {("a", "b"), ("b", "c"), ("a", "c"), ("c", "b")}
        kept = opened.verdicts(verifier_id(), asked)
        assert PairVerdict.from_json(kept["a", "c"]) == verdicts["a", "c"]
        monkeypatch.setenv("ASL_CACHE", "off")
        assert recall_verdicts(asked, store=opened, path=other) == known
    third = store(tmp_path / "3.sqlite", thumbnails)
    with closing(ImageStore(third, model="m", dim=2)) as opened:
        assert recall_verdicts(asked, store=opened, path=third) == set()


def test_another_thumbnail_is_compared(compared: list[tuple[str, str]], tmp_path: Path) -> None:
    list(
        verify_with_cache(
            PAIRS[:1], store=store(tmp_path / "1.sqlite", {"a": b"1", "b": b"2"}), workers=1
        )
    )
    other = store(tmp_path / "2.sqlite", {"a": b"1", "b": b"other"})
    list(verify_with_cache(PAIRS[:1], store=other, workers=1))
    same = store(tmp_path / "3.sqlite", {"a": b"1", "b": b"2"})
    list(verify_with_cache(PAIRS[:1], store=same, workers=1))
    assert compared == [("a", "b"), ("a", "b")]


def test_a_reader_that_stops_keeps_what_was_compared(
    compared: list[tuple[str, str]], tmp_path: Path
) -> None:
    path = store(tmp_path / "1.sqlite", {"a": b"1", "b": b"2", "c": b"3"})
    results = verify_with_cache(PAIRS, store=path, workers=1)
    next(results)
    next(results)
    results.close()  # type: ignore[attr-defined]
    list(verify_with_cache(PAIRS[:2], store=path, workers=1))
    assert compared == PAIRS[:2]


def test_without_a_cache_all_are_compared(
    compared: list[tuple[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASL_CACHE", "off")
    path = store(tmp_path / "1.sqlite", {"a": b"1", "b": b"2"})
    for _ in range(2):
        list(verify_with_cache(PAIRS[:1], store=path, workers=1))
    assert compared == PAIRS[:1] * 2
