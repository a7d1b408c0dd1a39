"""Coded index that is searched while it changes: grown, masked, pruned, reopened, damaged."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asl.matching.candidates import live_local_index as module
from asl.matching.candidates import piece_files
from asl.matching.candidates.coded_local_index import coded_local_index, image_key
from asl.matching.candidates.feature_values import LocalFeatures
from asl.matching.candidates.live_local_index import LiveLocalIndex
from asl.matching.candidates.local_features import votes_of

Draw = Callable[..., LocalFeatures]
COUNT = 40


@pytest.fixture
def images(draw: Draw, monkeypatch: pytest.MonkeyPatch) -> list[LocalFeatures]:
    monkeypatch.setattr(module, "IMAGES_IN_MEMORY", 6)
    return [draw(40, 128) for _ in range(COUNT)]


# Some keys end with a zero byte, which numpy's strings do not keep.
KEYS = [image_key(str(number))[:15] + bytes([number % 3]) for number in range(COUNT)]


def add(index: LiveLocalIndex, images: Sequence[LocalFeatures], numbers: Sequence[int]) -> None:
    index.add([KEYS[number] for number in numbers], [images[number] for number in numbers])


def part(image: LocalFeatures) -> LocalFeatures:
    return LocalFeatures(image.scales[:15] * 2, image.angles[:15], image.descriptors[:15])


def assert_votes(
    index: LiveLocalIndex, images: Sequence[LocalFeatures], numbers: Sequence[int]
) -> None:
    """Every image is voted for as by an index that was built at once."""
    assert len(index) == len(numbers)
    built = coded_local_index(
        [KEYS[number] for number in numbers],
        lambda positions: [images[numbers[position]] for position in positions],
    )
    for number in range(COUNT):
        rows, _ = votes_of(built, part(images[number]), 3)
        found = index.vote(part(images[number]), 3)
        assert set(found) == {KEYS[numbers[row]] for row in rows.tolist()}
        if number in numbers:
            assert found[0] == KEYS[number]
        else:
            assert KEYS[number] not in found


@pytest.mark.parametrize("in_folder", [False, True])
def test_it_grows_forgets_and_is_equal_to_one_that_was_built_at_once(
    images: list[LocalFeatures], tmp_path: Path, in_folder: bool
) -> None:
    folder = tmp_path / "index.codes" if in_folder else None
    index = LiveLocalIndex(folder)
    assert index.vote(part(images[0]), 3) == []
    for start, stop in ((0, 1), (1, 4), (4, 30), (30, 33)):
        add(index, images, range(start, stop))
        assert_votes(index, images, range(stop))
    index.remove([KEYS[2], KEYS[31]])
    left = [number for number in range(33) if number not in (2, 31)]
    assert_votes(index, images, left)
    add(index, images, [2])
    assert_votes(index, images, sorted([*left, 2]))
    index.remove(KEYS[5:30])
    left = [0, 1, 2, 3, 4, 30, 32]
    assert_votes(index, images, left)
    add(index, images, [7])
    assert_votes(index, images, [*left, 7])
    index.remove(KEYS)
    assert_votes(index, images, [])
    add(index, images, [8])
    assert_votes(index, images, [8])


def test_reopened_it_names_what_it_lacks(images: list[LocalFeatures], tmp_path: Path) -> None:
    folder = tmp_path / "index.codes"
    index = LiveLocalIndex(folder)
    add(index, images, range(10))
    add(index, images, range(10, 13))
    del index  # as killed: three images were in memory
    again = LiveLocalIndex(folder)
    assert again.keep(KEYS[:15]) == [10, 11, 12, 13, 14]
    add(again, images, range(10, 13))
    again.close()
    last = LiveLocalIndex(folder)
    assert last.keep(KEYS[1:13]) == []
    assert_votes(last, images, range(1, 13))
    assert last.keep(KEYS[11:13]) == []
    assert_votes(last, images, [11, 12])
    last.close()
    for path in folder.glob("*.features.npy"):
        path.write_bytes(path.read_bytes()[:-9])
    assert LiveLocalIndex(folder).keep(KEYS[:3]) == [0, 1, 2], "damaged: made anew"


def test_the_first_writes_and_others_add_in_memory(
    images: list[LocalFeatures], tmp_path: Path
) -> None:
    folder = tmp_path / "index.codes"
    first = LiveLocalIndex(folder)
    add(first, images, range(10))
    second = LiveLocalIndex(folder)
    assert second.keep(KEYS[:10]) == []
    add(second, images, range(20, 30))
    add(first, images, range(10, 20))
    assert_votes(second, images, [*range(10), *range(20, 30)])
    assert_votes(first, images, range(20))
    second.close()
    first.close()
    third = LiveLocalIndex(folder)
    assert third.keep(KEYS[:30]) == list(range(20, 30))


def test_what_the_first_prunes_stays_with_others_and_is_counted_once(
    images: list[LocalFeatures], tmp_path: Path
) -> None:
    """The files of a piece that others have mapped are removed, and its number is used again."""
    folder = tmp_path / "index.codes"
    first = LiveLocalIndex(folder)
    add(first, images, range(10))
    first.flush()
    second = LiveLocalIndex(folder)
    assert second.keep(KEYS[:10]) == []
    first.remove(KEYS[:10])
    first.close()
    third = LiveLocalIndex(folder)
    add(third, images, range(5, 15))
    third.flush()
    add(second, images, range(20, 30))
    assert_votes(second, images, [*range(10), *range(20, 30)])
    second.remove(KEYS[0:9])
    assert_votes(second, images, [9, *range(20, 30)])
    second.close()
    assert_votes(third, images, range(5, 15))
    third.close()
    last = LiveLocalIndex(folder)
    assert last.keep(KEYS[:30]) == [*range(5), *range(15, 30)]
    assert_votes(last, images, range(5, 15))


def test_pieces_that_are_replaced_while_they_are_read_are_no_damage(
    images: list[LocalFeatures], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "index.codes"
    first = LiveLocalIndex(folder)
    add(first, images, range(10))
    first.flush()
    read, times = piece_files.read_npy, 0

    def read_late(*arguments: Any, **options: Any) -> Any:
        nonlocal times
        times += 1
        if times == 1:
            first.remove(KEYS[4:10])
        return read(*arguments, **options)

    monkeypatch.setattr(piece_files, "read_npy", read_late)
    second = LiveLocalIndex(folder)
    assert times > 4, "read again"
    assert second.keep(KEYS[:10]) == [4, 5, 6, 7, 8, 9]
    assert_votes(second, images, range(4))


def test_a_copy_has_what_is_not_forgotten(images: list[LocalFeatures], tmp_path: Path) -> None:
    index = LiveLocalIndex(None)
    index.copy_to(tmp_path / "nothing.codes")
    add(index, images, range(10))
    index.remove([KEYS[4]])
    index.copy_to(tmp_path / "copy.codes")
    copy = LiveLocalIndex(tmp_path / "copy.codes")
    left = [number for number in range(10) if number != 4]
    assert copy.keep(KEYS[:10]) == [4]
    assert_votes(copy, images, left)


def test_it_is_searched_while_it_changes(images: list[LocalFeatures], tmp_path: Path) -> None:
    index = LiveLocalIndex(tmp_path / "index.codes")
    add(index, images, range(4))
    errors: list[BaseException] = []
    stop = threading.Event()

    def ask() -> None:
        try:
            while not stop.is_set():
                for number in range(4):
                    assert index.vote(part(images[number]), 1) == [KEYS[number]]
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(4, COUNT):
        add(index, images, [number])
        if number % 2:
            index.remove([KEYS[number]])
    stop.set()
    for thread in threads:
        thread.join()
    assert not errors, errors
    assert_votes(index, images, [0, 1, 2, 3, *range(4, COUNT, 2)])


def test_images_without_features_are_known(draw: Draw) -> None:
    index = LiveLocalIndex(None)
    none = LocalFeatures(np.empty(0, np.float32), np.empty(0, np.float32), draw(0, 128).descriptors)
    index.add(KEYS[:2], [none, none])
    assert index.keep(KEYS[:3]) == [2]
    assert index.vote(draw(20, 128), 3) == []
