"""Files of a coded index of local features.

::

    manifest.json               format, quantiser, pieces with their counts and checksums
    00000003.bounds.npy         int64 [L + 1]
    00000003.signs.npy          uint64 [N, W]
    00000003.features.npy       records of 8 bytes [N]
    00000003.keys.npy           16 bytes [R], one key per image

``manifest.json`` is replaced in one step after the files of a new piece are complete: killed at any
moment, the index is as before or as after.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from asl.matching.candidates.coded_piece import FEATURE, Piece, Run
from asl.matching.candidates.quantiser import Quantiser
from asl.storage import ReadError, atomic_binary, read_errors, read_json, read_npy, write_json
from asl.types import I64

MANIFEST = "manifest.json"
FORMAT = "asl-local-features-1"
KEY = np.dtype("S16")
REMEDY = "delete the folder, it is built again"
_PIECE_FILE = re.compile(r"(\d{8})\.(bounds|signs|features|keys)\.npy")
_SMALL = ("bounds", "keys")  # compared with their checksums whenever they are read
_MOST = 2**32  # images or features of one piece
_ROWS_AT_ONCE = 2**20
Keys = npt.NDArray[np.bytes_]


@dataclass(frozen=True, eq=False)
class KeyedPiece:
    """A piece and the keys of its images.

    Attributes:
        piece: codes, memory-mapped where they are in a folder.
        keys: 16 bytes ``[R]``, the key of each image.
        number: of the piece in its folder; 0 for a piece in memory.
        checksums: SHA-256 of its files by part; empty for a piece in memory.
    """

    piece: Piece
    keys: Keys
    number: int = 0
    checksums: dict[str, str] | None = None


def read_pieces(folder: Path, quantiser: Quantiser, *, check_files: bool) -> list[KeyedPiece]:
    """Open the pieces of an index; none where there is no manifest.

    Pieces that another process replaces meanwhile are those before or those after.

    Args:
        folder: of the index.
        quantiser: that the codes must have been made with.
        check_files: compare the codes with their checksums, too; the small files always are.

    Raises:
        ReadError: a file is missing or damaged, or the index is of another quantiser.
    """
    while True:
        before = _manifest_bytes(folder)
        try:
            return _read_pieces(folder, quantiser, check_files)
        except ReadError:
            if _manifest_bytes(folder) == before:  # else another process has replaced the pieces
                raise


def _manifest_bytes(folder: Path) -> bytes:
    try:
        return (folder / MANIFEST).read_bytes()
    except OSError:
        return b""


def _read_pieces(folder: Path, quantiser: Quantiser, check_files: bool) -> list[KeyedPiece]:
    path = folder / MANIFEST
    if not path.is_file():
        return []
    manifest = read_json(path, remedy=REMEDY)
    with read_errors(path, REMEDY):
        if manifest.get("format") != FORMAT:
            raise ValueError(f"its format is {manifest.get('format')!r}, expected {FORMAT!r}")
        if manifest.get("quantiser") != quantiser.id:
            raise ValueError("its codes are of another quantiser")
        listed = [_entry(entry) for entry in manifest["pieces"]]
    return [_read_piece(folder, *entry, quantiser, check_files) for entry in listed]


def write_piece(
    folder: Path, number: int, bounds: I64, runs: Iterable[Run], keys: Keys, quantiser: Quantiser
) -> KeyedPiece:
    """Write a piece, its codes run by run, and map it.

    Raises:
        WriteError: nothing may be written there.
    """
    total = int(bounds[-1])
    words = quantiser.code_bytes // 8
    with (
        _array_file(_name(folder, number, "signs"), np.dtype("<u8"), (total, words)) as signs,
        _array_file(_name(folder, number, "features"), FEATURE, (total,)) as features,
        _array_file(_name(folder, number, "bounds"), np.dtype("<i8"), bounds.shape) as lists,
        _array_file(_name(folder, number, "keys"), KEY, keys.shape) as images,
    ):
        for run_signs, run_features in runs:
            signs.append(run_signs)
            features.append(run_features)
        lists.append(bounds)
        images.append(keys)
    checksums = {
        "signs": signs.checksum,
        "features": features.checksum,
        "bounds": lists.checksum,
        "keys": images.checksum,
    }
    return _read_piece(folder, number, total, len(keys), checksums, quantiser, False)


def write_manifest(folder: Path, pieces: Iterable[KeyedPiece], quantiser: Quantiser) -> None:
    """Write which pieces an index consists of, then remove the files of others.

    Raises:
        WriteError: nothing may be written there.
    """
    listed = list(pieces)
    entries = [
        {
            "number": keyed.number,
            "features": len(keyed.piece),
            "images": keyed.piece.images,
            "sha256": keyed.checksums,
        }
        for keyed in listed
    ]
    value = {"format": FORMAT, "quantiser": quantiser.id, "pieces": entries}
    write_json(folder / MANIFEST, value)
    numbers = {keyed.number for keyed in listed}
    for path in folder.iterdir():
        match = _PIECE_FILE.fullmatch(path.name)
        if match and int(match[1]) not in numbers:
            with suppress(OSError):  # mapped files cannot be removed on Windows
                path.unlink()


class _ArrayFile:
    """An ``.npy`` file that is written in parts."""

    def __init__(self, file: IO[bytes], dtype: np.dtype[Any]) -> None:
        self._file, self._dtype = file, dtype
        self._digest = hashlib.sha256()

    def append(self, rows: npt.NDArray[Any]) -> None:
        """Write some rows."""
        data = np.ascontiguousarray(rows, dtype=self._dtype).tobytes()
        self._digest.update(data)
        self._file.write(data)

    @property
    def checksum(self) -> str:
        """SHA-256 of the values that were written."""
        return self._digest.hexdigest()


@contextmanager
def _array_file(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Iterator[_ArrayFile]:
    """Yield an array file that appears when the block has written all of its rows."""
    with atomic_binary(path) as file:
        header = {
            "descr": np.lib.format.dtype_to_descr(dtype),
            "fortran_order": False,
            "shape": shape,
        }
        np.lib.format.write_array_header_2_0(file, header)
        yield _ArrayFile(file, dtype)


def _entry(entry: Any) -> tuple[int, int, int, dict[str, str]]:
    """Check and return number, features, images and checksums of a listed piece."""
    number, features, images = (int(entry[key]) for key in ("number", "features", "images"))
    checksums = dict(entry["sha256"])
    if not (0 < number < 10**8 and 0 <= features < _MOST and 0 <= images < _MOST):
        raise ValueError("a count is out of range")
    if sorted(checksums) != ["bounds", "features", "keys", "signs"]:
        raise ValueError("a checksum is missing")
    return number, features, images, checksums


def _read_piece(
    folder: Path,
    number: int,
    features: int,
    images: int,
    checksums: dict[str, str],
    quantiser: Quantiser,
    check_files: bool,
) -> KeyedPiece:
    expected: dict[str, tuple[npt.DTypeLike, tuple[int, ...]]] = {
        "bounds": ("<i8", (quantiser.lists + 1,)),
        "signs": ("<u8", (features, quantiser.code_bytes // 8)),
        "features": (FEATURE, (features,)),
        "keys": (KEY, (images,)),
    }
    arrays = {}
    for part, (dtype, shape) in expected.items():
        path = _name(folder, number, part)
        mapped = part not in _SMALL and features > 0  # an empty file cannot be mapped
        array = read_npy(path, remedy=REMEDY, dtype=dtype, shape=shape, mapped=mapped)
        if check_files or part in _SMALL:
            _compare(path, array, checksums[part])
        arrays[part] = array
    bounds = arrays["bounds"]
    if bounds[0] != 0 or bounds[-1] != features or np.any(bounds[1:] < bounds[:-1]):
        path = _name(folder, number, "bounds")
        raise ReadError(f"{path}: damaged (its lists do not follow each other); {REMEDY}")
    piece = Piece(bounds, arrays["signs"], arrays["features"], images)
    return KeyedPiece(piece, arrays["keys"], number, checksums)


def _compare(path: Path, array: npt.NDArray[Any], expected: str) -> None:
    digest = hashlib.sha256()
    for start in range(0, len(array), _ROWS_AT_ONCE):
        digest.update(array[start : start + _ROWS_AT_ONCE].tobytes())
    if digest.hexdigest() != expected:
        raise ReadError(f"{path}: damaged (its checksum differs); {REMEDY}")


def _name(folder: Path, number: int, part: str) -> Path:
    return folder / f"{number:08d}.{part}.npy"
