"""Pieces are joined in memory as in a folder, and rewritten without many masked images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from asl.matching.candidates.coded_local_index import image_key
from asl.matching.candidates.feature_values import LocalFeatures
from asl.matching.candidates.piece_files import KEY, KeyedPiece
from asl.matching.candidates.piece_writer import (
    FEATURES_PER_IMAGE,
    PieceWriter,
    code_images,
    is_dense,
    joined_in_memory,
)
from asl.matching.candidates.quantiser import Quantiser

Draw = Callable[..., LocalFeatures]


def coded(draw: Draw, quantiser: Quantiser, first: int, count: int) -> KeyedPiece:
    keys = np.array([image_key(str(number)) for number in range(first, first + count)], dtype=KEY)
    return code_images([draw(20) for _ in range(count)], keys, quantiser)


@pytest.mark.parametrize("in_folder", [False, True])
def test_pieces_are_added_pruned_and_opened(
    draw: Draw, quantiser: Quantiser, tmp_path: Path, in_folder: bool
) -> None:
    folder = tmp_path if in_folder else None
    writer = PieceWriter(folder, [], quantiser)
    writer.add([coded(draw, quantiser, 0, 9)])
    writer.add([coded(draw, quantiser, 9, 2)])
    assert [keyed.piece.images for keyed in writer.pieces] == [9, 2]
    writer.add([coded(draw, quantiser, 11, 3), coded(draw, quantiser, 14, 1)])
    assert [keyed.piece.images for keyed in writer.pieces] == [15], "of like size: joined"
    for gone, left in ((3, 15), (4, 11)):
        writer.prune(lambda keyed, gone=gone: np.arange(len(keyed.keys)) >= gone)
        assert [keyed.piece.images for keyed in writer.pieces] == [left]
    if in_folder:
        opened = PieceWriter.open(tmp_path, quantiser).pieces
        assert [keyed.keys.tolist() for keyed in opened] == [writer.pieces[0].keys.tolist()]
    writer.prune(lambda keyed: np.zeros(len(keyed.keys), np.bool_))
    assert writer.pieces == []


def test_a_piece_in_memory_has_the_largest_features(draw: Draw, quantiser: Quantiser) -> None:
    keys = np.array([image_key("a"), image_key("b")], dtype=KEY)
    piece = code_images([draw(FEATURES_PER_IMAGE + 30), draw(7)], keys, quantiser)
    assert len(piece.piece) == FEATURES_PER_IMAGE + 7
    only = joined_in_memory([piece], [np.array([False, True])])
    assert (len(only.piece), only.keys.tolist()) == (7, keys[1:].tolist())
    assert not is_dense(np.array([True, False]))
    assert is_dense(np.array([True, True, True, False]))
