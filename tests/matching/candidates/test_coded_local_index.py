"""Coded index of local features: grown, pruned, resumed, damaged; a part votes for its whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from asl.matching.candidates import coded_local_index as module
from asl.matching.candidates import piece_writer
from asl.matching.candidates.coded_local_index import (
    CodedLocalIndex,
    coded_local_index,
    image_key,
)
from asl.matching.candidates.feature_values import LocalFeatures
from asl.matching.candidates.piece_writer import FEATURES_PER_IMAGE
from asl.matching.candidates.quantiser import Quantiser, load_quantiser
from asl.matching.candidates.votes import rank_by_votes
from asl.storage import WriteError, exclusive_lock
from asl.types import AslError

Draw = Callable[..., LocalFeatures]


class Library:
    """Images by number, and which of them were read."""

    def __init__(self, images: Sequence[LocalFeatures], quantiser: Quantiser) -> None:
        self.images, self.quantiser = images, quantiser
        self.read: list[int] = []
        self.unreadable: set[int] = set()
        self.stop_after = len(images)

    def index(self, numbers: Sequence[int], folder: Path | None) -> CodedLocalIndex:
        self.read = []

        def read(positions: Sequence[int]) -> Iterator[LocalFeatures | None]:
            for position in positions:
                if len(self.read) >= self.stop_after:
                    raise KeyboardInterrupt
                number = numbers[position]
                self.read.append(number)
                yield None if number in self.unreadable else self.images[number]

        keys = [image_key(str(number)) for number in numbers]
        return coded_local_index(keys, read, folder=folder, quantiser=self.quantiser)


@pytest.fixture
def library(quantiser: Quantiser, draw: Draw, monkeypatch: pytest.MonkeyPatch) -> Library:
    monkeypatch.setattr(module, "_PIECE_FEATURES", 100)
    monkeypatch.setattr(module, "_CODED_FEATURES", 40)
    return Library([draw(30) for _ in range(24)], quantiser)


def assert_same(first: CodedLocalIndex, second: CodedLocalIndex, query: np.ndarray) -> None:
    assert first.references == second.references
    for mine, other in zip(first.neighbours(query), second.neighbours(query), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_in_pieces_and_at_once_are_equal(
    library: Library, draw: Draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = list(range(24))
    for count in (1, 7, 8, 20, 24):
        grown = library.index(numbers[:count], tmp_path / "grown")
    assert library.read == [20, 21, 22, 23], "only what is new is read"
    in_memory = library.index(numbers, None)
    monkeypatch.setattr(module, "_PIECE_FEATURES", 10**6)
    at_once = library.index(numbers, tmp_path / "at-once")
    assert len(at_once.pieces) == 1
    assert len(grown) == len(in_memory) == len(at_once) == 24 * 30
    query = draw(40).descriptors
    assert_same(grown, at_once, query)
    assert_same(in_memory, at_once, query)
    again = library.index(numbers, tmp_path / "grown")
    assert library.read == []
    assert_same(again, at_once, query)


def test_pieces_of_like_size_are_joined(library: Library, tmp_path: Path) -> None:
    for count in range(1, 25):
        index = library.index(range(count), tmp_path / "index")
        sizes = [len(keyed.piece) for keyed in index.pieces]
        assert all(first > 2 * second for first, second in pairwise(sizes))
        listed = {f"{keyed.number:08d}" for keyed in index.pieces}
        assert {path.name[:8] for path in (tmp_path / "index").glob("0*.npy")} == listed


def test_images_that_are_gone_are_masked_then_left_out(
    library: Library, draw: Draw, tmp_path: Path
) -> None:
    folder, query = tmp_path / "index", draw(40).descriptors
    assert len(library.index(range(24), folder)) == 720
    for gone, features in ((4, 720), (9, 15 * 30)):
        left = [(number * 7) % 24 for number in range(24) if (number * 7) % 24 >= gone]
        smaller = library.index(left, folder)
        assert library.read == []
        assert len(smaller) == features, "a quarter is masked before a piece is written again"
        assert_same(smaller, library.index(left, None), query)
    whole = library.index(range(24), folder)
    assert sorted(library.read) == list(range(9))
    assert_same(whole, library.index(range(24), None), query)
    assert len(library.index([], folder)) == 0
    assert [path.name for path in folder.glob("*.npy")] == []


def test_several_pieces_are_pruned_at_once(library: Library, draw: Draw, tmp_path: Path) -> None:
    folder = tmp_path / "index"
    library.index(range(16), folder)
    assert len(library.index(range(22), folder).pieces) == 2
    half = range(0, 22, 2)
    pruned = library.index(half, folder)
    assert library.read == []
    assert [len(keyed.piece) for keyed in pruned.pieces] == [10 * 30, 30]
    assert_same(pruned, library.index(half, None), draw(40).descriptors)
    assert_same(pruned, library.index(half, folder), draw(40).descriptors)


def test_a_stopped_run_resumes(library: Library, draw: Draw, tmp_path: Path) -> None:
    library.stop_after = 15
    with pytest.raises(KeyboardInterrupt):
        library.index(range(24), tmp_path / "index")
    library.stop_after = 24
    resumed = library.index(range(24), tmp_path / "index")
    assert 0 < len(library.read) < 15
    assert_same(resumed, library.index(range(24), None), draw(40).descriptors)


def test_unreadable_images_are_asked_for_again(library: Library, tmp_path: Path) -> None:
    library.unreadable = {3, 23}
    index = library.index(range(24), tmp_path / "index")
    assert (index.references, len(index)) == (24, 22 * 30)
    library.unreadable = {23}
    assert len(library.index(range(24), tmp_path / "index")) == 23 * 30
    assert library.read == [3, 23]
    library.unreadable = set(range(24))
    assert len(library.index(range(24), None)) == 0


def test_a_damaged_index_is_built_again(library: Library, draw: Draw, tmp_path: Path) -> None:
    folder, query = tmp_path / "index", draw(40).descriptors
    expected = library.index(range(24), None)
    library.index(range(24), folder)
    for path in sorted(folder.glob("*.npy")):
        path.write_bytes(path.read_bytes()[:-9])
        index = library.index(range(24), folder)
        assert library.read == list(range(24)), path.name
        assert_same(index, expected, query)


def test_a_full_disk_leaves_the_index_as_it_was(
    library: Library, draw: Draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "index"
    library.index(range(20), folder)

    def full(*_: object) -> None:
        raise WriteError("the disk is full")

    for name in ("write_piece", "write_manifest"):
        with monkeypatch.context() as patched:
            patched.setattr(piece_writer, name, full)
            index = library.index(range(24), folder)
        assert_same(index, library.index(range(24), None), draw(40).descriptors)
        assert library.index(range(20), folder).references == 20
        assert library.read == []


def test_one_process_changes_an_index_and_others_read_it(
    library: Library,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(module, "_QUIET_SECONDS", 0.1)
    monkeypatch.setattr(module, "_WAIT_SECONDS", 0.1)
    folder = tmp_path / "index"
    library.index(range(4), folder)
    with exclusive_lock(folder / "write.lock", busy=""):
        assert library.index(range(4), folder).references == 4
        assert library.index([3, 1, 2], folder).references == 3
        with pytest.raises(AslError, match="another process changes this index"):
            library.index(range(5), folder)
    assert caplog.messages == [
        f"{folder}: another process changes this index of local features; waiting for it"
    ]


def test_keys_differ(library: Library) -> None:
    with pytest.raises(AslError, match="two references have the same key"):
        library.index([1, 2, 1], None)
    assert image_key("a", "bc") != image_key("ab", "c")


def test_an_image_keeps_its_largest_features(quantiser: Quantiser, draw: Draw) -> None:
    image = draw(FEATURES_PER_IMAGE + 50)
    index = Library([image], quantiser).index([0], None)
    assert len(index) == FEATURES_PER_IMAGE
    least = np.sort(image.scales)[50]
    assert image.largest(FEATURES_PER_IMAGE).scales.min() == least


def test_a_part_votes_for_its_whole(draw: Draw) -> None:
    """By the packaged quantiser, turned and scaled, among images of other features."""
    library = Library([draw(120, 128) for _ in range(40)], load_quantiser())
    index = library.index(range(40), None)
    whole = library.images[17]
    for turn, factor in ((0, 1.0), (200, 3.0), (355, 0.4)):
        part = LocalFeatures(
            whole.scales[:20] * np.float32(factor),
            ((whole.angles[:20] + turn) % 360).astype(np.float32),
            whole.descriptors[:20],
        )
        rows, votes = rank_by_votes(index, [part], 3)
        assert rows[0] == 17
        assert votes[0] > 2 * votes[1]
