"""Files of a coded index: read back as written; cut, changed and crafted ones are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asl.matching.candidates.coded_piece import encode_piece
from asl.matching.candidates.feature_values import LocalFeatures
from asl.matching.candidates.piece_files import (
    KEY,
    MANIFEST,
    KeyedPiece,
    read_pieces,
    write_manifest,
    write_piece,
)
from asl.matching.candidates.quantiser import Quantiser
from asl.storage import ReadError, read_json, write_json

Draw = Callable[..., LocalFeatures]
LINE = r"(damaged|cannot be read) \([^\n]*\); delete the folder, it is built again$"


@pytest.fixture
def written(quantiser: Quantiser, draw: Draw, tmp_path: Path) -> KeyedPiece:
    piece = encode_piece([draw(40), draw(20)], quantiser)
    keys = np.array([b"0" * 16, b"1" * 16], dtype=KEY)
    runs = [(piece.signs[:25], piece.features[:25]), (piece.signs[25:], piece.features[25:])]
    keyed = write_piece(tmp_path, 3, piece.bounds, runs, keys, quantiser)
    write_manifest(tmp_path, [keyed], quantiser)
    for name in ("bounds", "signs", "features"):
        np.testing.assert_array_equal(getattr(keyed.piece, name), getattr(piece, name))
    return keyed


def test_it_is_read_back_and_mapped(
    written: KeyedPiece, quantiser: Quantiser, tmp_path: Path
) -> None:
    (again,) = read_pieces(tmp_path, quantiser, check_files=True)
    assert isinstance(again.piece.signs, np.memmap)
    assert isinstance(again.piece.features, np.memmap)
    for name in ("bounds", "signs", "features"):
        np.testing.assert_array_equal(getattr(again.piece, name), getattr(written.piece, name))
    assert (again.piece.images, again.number) == (2, 3)
    assert again.keys.tolist() == written.keys.tolist()
    assert read_pieces(tmp_path / "none", quantiser, check_files=True) == []


def test_a_manifest_removes_the_files_of_other_pieces(
    written: KeyedPiece, quantiser: Quantiser, tmp_path: Path
) -> None:
    (tmp_path / "notes.npy").write_bytes(b"of somebody else")
    write_manifest(tmp_path, [], quantiser)
    assert sorted(path.name for path in tmp_path.iterdir()) == [MANIFEST, "notes.npy"]


@pytest.mark.parametrize("part", ["bounds", "signs", "features", "keys"])
def test_damaged_files_are_refused(
    written: KeyedPiece, quantiser: Quantiser, tmp_path: Path, part: str
) -> None:
    path = tmp_path / f"00000003.{part}.npy"
    whole = path.read_bytes()
    changed = bytearray(whole)
    changed[-3] ^= 64
    path.write_bytes(bytes(changed))
    with pytest.raises(ReadError, match=LINE):
        read_pieces(tmp_path, quantiser, check_files=True)
    if part in ("bounds", "keys"):
        with pytest.raises(ReadError, match=LINE):
            read_pieces(tmp_path, quantiser, check_files=False)
    for data in (whole[:-1], whole[:20], b"", np.lib.format.magic(2, 0) + b"\xff" * 99):
        path.write_bytes(data)
        with pytest.raises(ReadError, match=LINE):
            read_pieces(tmp_path, quantiser, check_files=False)
    path.unlink()
    with pytest.raises(ReadError, match=LINE):
        read_pieces(tmp_path, quantiser, check_files=False)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "asl-local-features-9"},
        {"quantiser": "another"},
        {"pieces": [{"number": 3}]},
        {"pieces": 7},
        {"features": 10**9},
        {"features": -60},
        {"images": 2**40},
        {"number": 10**9},
        {"sha256": {}},
        {"sha256": "no"},
    ],
)
def test_crafted_manifests_are_refused(
    written: KeyedPiece, quantiser: Quantiser, tmp_path: Path, change: dict[str, Any]
) -> None:
    path = tmp_path / MANIFEST
    manifest = read_json(path, remedy="")
    target = manifest["pieces"][0] if set(change) & set(manifest["pieces"][0]) else manifest
    target.update(change)
    write_json(path, manifest)
    with pytest.raises(ReadError, match=LINE):
        read_pieces(tmp_path, quantiser, check_files=False)
    for text in ("{}", "[]", "{", json.dumps({**manifest, "more": 1})):
        path.write_text(text)
        with pytest.raises(ReadError, match=LINE):
            read_pieces(tmp_path, quantiser, check_files=False)


def test_crafted_lists_are_refused(
    written: KeyedPiece, quantiser: Quantiser, tmp_path: Path
) -> None:
    for changes in ({0: -5}, {0: 1}, {7: 10**6}, {8: 2**62 + 9, 9: -(2**62) - 9}):
        bounds = written.piece.bounds.copy()
        for place, value in changes.items():
            bounds[place] = value
        runs = [(written.piece.signs, written.piece.features)]
        with pytest.raises(ReadError, match=r"its lists do not follow each other"):
            write_piece(tmp_path, 4, bounds, runs, written.keys, quantiser)
    other = replace(quantiser, leaves=quantiser.leaves[:, :-1])
    with pytest.raises(ReadError, match="expected int64"):
        read_pieces(tmp_path, other, check_files=False)
