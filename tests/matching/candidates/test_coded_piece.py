"""Pieces of a coded index: their order, joining them, features that name no image."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from asl.matching.candidates import coded_piece as module
from asl.matching.candidates.coded_piece import (
    Piece,
    angles_of,
    encode_piece,
    joined_runs,
    rows_of_images,
    scales_of,
)
from asl.matching.candidates.feature_values import LocalFeatures
from asl.matching.candidates.quantiser import Quantiser
from asl.types import AslError

Draw = Callable[..., LocalFeatures]


def join(pieces: list[Piece], kept: list[np.ndarray]) -> Piece:
    bounds, runs = joined_runs(pieces, kept)
    signs, features = zip(*runs, strict=True)
    images = sum(int(keep.sum()) for keep in kept)
    return Piece(bounds, np.concatenate(signs), np.concatenate(features), images)


def assert_equal(first: Piece, second: Piece) -> None:
    for name in ("bounds", "signs", "features"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert first.images == second.images


def test_features_are_ordered_by_list_and_image(quantiser: Quantiser, draw: Draw) -> None:
    images = [draw(count) for count in (30, 0, 50)]
    piece = encode_piece(images, quantiser)
    assert (len(piece), piece.images) == (80, 3)
    lists = np.repeat(np.arange(quantiser.lists), np.diff(piece.bounds))
    expected = quantiser.encode(images[2].descriptors)
    of_third = piece.features["image"] == 2
    np.testing.assert_array_equal(np.sort(expected.lists), lists[of_third])
    for part in range(quantiser.lists):
        owners = piece.features["image"][piece.bounds[part] : piece.bounds[part + 1]]
        assert np.all(np.diff(owners.astype(int)) >= 0)
    order = np.argsort(expected.lists, kind="stable")
    turned = np.abs(angles_of(piece.features["angle"][of_third]) - images[2].angles[order])
    assert np.minimum(turned, 360 - turned).max() < 0.8
    ratio = scales_of(piece.features["scale"][of_third]) / images[2].scales[order]
    assert np.abs(np.log2(ratio)).max() < 1 / 31


@pytest.mark.parametrize("at_once", [1, 40, 2**22])
def test_joined_pieces_are_the_piece_of_all_images(
    quantiser: Quantiser, draw: Draw, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FEATURES_AT_ONCE", at_once)
    images = [draw(count) for count in (20, 0, 35, 11, 60)]
    kept = np.array([True, True, False, True, False])
    pieces = [encode_piece(images[:3], quantiser), encode_piece(images[3:], quantiser)]
    every = [np.ones(3, np.bool_), np.ones(2, np.bool_)]
    assert_equal(join(pieces, every), encode_piece(images, quantiser))
    some = [image for image, keep in zip(images, kept, strict=True) if keep]
    assert_equal(join(pieces, [kept[:3], kept[3:]]), encode_piece(some, quantiser))


def test_nothing_can_be_coded_and_joined(quantiser: Quantiser, draw: Draw) -> None:
    for images in ([], [draw(0)]):
        piece = encode_piece(images, quantiser)
        assert len(piece) == 0
        assert_equal(
            join([piece, piece], [np.ones(len(images), np.bool_)] * 2),
            encode_piece([*images, *images], quantiser),
        )


def test_a_feature_of_an_image_that_is_not_there_is_refused(
    quantiser: Quantiser, draw: Draw
) -> None:
    piece = encode_piece([draw(5)], quantiser)
    piece.features["image"][3] = 9
    with pytest.raises(AslError, match=r"damaged \(image 9 of 1\)"):
        rows_of_images(np.zeros(1, np.int64), piece.features)
    with pytest.raises(AslError, match="damaged"):
        join([piece], [np.ones(1, np.bool_)])
