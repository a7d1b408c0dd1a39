from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from asl.app.library.image_store import ImageStore
from asl.types import AslError


def opened(path: Path | None = None) -> ImageStore:
    return ImageStore(path, model="m", dim=2)


def test_only_the_verdicts_that_are_asked_for_come_back() -> None:
    store = opened()
    digests = [f"d{number:04}" for number in range(60)]
    every = [(a, b) for a in digests for b in digests if a < b]
    store.put_verdicts("judge", [(a, b, a + b) for a, b in every])
    store.put_verdicts("another", [("d0000", "d0001", "not mine")])
    wanted = every[::-2]
    assert len(wanted) > 500, "more than one statement"
    assert store.verdicts("judge", [*wanted, ("d0001", "d0000")]) == {
        pair: "".join(pair) for pair in wanted
    }
    assert store.verdicts("judge", []) == {}


def test_verdicts_of_an_older_judge_go_when_a_new_one_comes() -> None:
    store, pair = opened(), ("a", "b")
    store.keep_verdicts_of("old")
    store.put_verdicts("old", [(*pair, "yes")])
    store.keep_verdicts_of("old")
    assert store.verdicts("old", [pair]) == {pair: "yes"}
    store.put_verdicts("new", [(*pair, "no")])
    store.keep_verdicts_of("new")
    assert store.verdicts("old", [pair]) == {}
    assert store.verdicts("new", [pair]) == {pair: "no"}


def test_a_content_s_verdicts_are_found_by_an_index_on_either_side_in_an_older_file_too(
    tmp_path: Path,
) -> None:
    path = tmp_path / "store.sqlite"
    opened(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP INDEX verdicts_second")
    opened(path).close()
    with closing(sqlite3.connect(path)) as db:
        plan = db.execute(
            "EXPLAIN QUERY PLAN DELETE FROM verdicts WHERE first = 'a' OR second = 'a'"
        ).fetchall()
    steps = [row[3] for row in plan]
    assert not any("SCAN" in step for step in steps), steps
    assert any("verdicts_second" in step for step in steps), steps


def test_damage_in_use_names_the_file_and_the_cure(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    store = opened(path)
    store.put_verdicts("judge", [("a" * 50, f"{n}" * 50, "yes" * 30) for n in range(300)])
    store.close()
    data = bytearray(path.read_bytes())
    data[8 * 4096 :] = b"\xff" * (len(data) - 8 * 4096)
    path.write_bytes(data)
    store = opened(path)
    with pytest.raises(AslError, match=r"store\.sqlite: damaged .*; choose another file"):
        store.verdicts("judge", [("a" * 50, f"{n}" * 50) for n in range(300)])
    store.close()


def test_a_copy_is_whole_and_replaces_nothing(tmp_path: Path) -> None:
    store = opened()
    store.put_verdicts("judge", [("a", "b", "yes")])
    store.copy_to(tmp_path / "new" / "copy.sqlite")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["copy.sqlite"]
    again = opened(tmp_path / "new" / "copy.sqlite")
    assert again.verdicts("judge", [("a", "b")]) == {("a", "b"): "yes"}
    again.close()
    with pytest.raises(AslError, match="there already"):
        store.copy_to(tmp_path / "new" / "copy.sqlite")
