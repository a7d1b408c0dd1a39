"""The HDF5 files of the ISC 2021 challenge: descriptors of one set, or a submission of both."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from asl.storage import atomic_path, read_errors
from asl.types import F32, AslError, Embeddings, QueryEmbeddings, ReferenceEmbeddings, StrArray

_SUFFIXES = (".hdf5", ".h5")
_IMAGES = (".jpg", ".jpeg", ".png")
_REMEDY = "copy it again"


def is_descriptors(path: str | Path) -> bool:
    """Return whether a path names HDF5 files: one, a folder of them, or several joined by ``+``."""
    files = _files(path)
    return bool(files) and all(file.is_file() for file in files)


def read_descriptors(path: str | Path) -> Embeddings:
    """Read one set (``vectors`` float32 ``[N, D]``, ``image_names``), from one file or several.

    Ids lose folders and image suffixes. Rows need not be unit length; their lengths become the
    log-norms.

    Args:
        path: an HDF5 file, a folder of them (read in the order of their numbers), or paths joined
            by ``+``.

    Raises:
        AslError: no such file, it holds something else, or the files have other dimensions.
    """
    files = _files(path)
    if not files:
        raise AslError(f"{path}: no HDF5 file; give a file, a folder of .h5 files, or A.h5+B.h5")
    names: list[StrArray] = []
    vectors: list[Any] = []
    for file_path in files:
        with read_errors(file_path, _REMEDY), _opened(file_path) as file:
            _need(file, file_path, "vectors", "image_names")
            names.append(_names(file, "image_names", file_path))
            vectors.append(_rows(file, "vectors", file_path, count=len(names[-1])))
        if vectors[-1].shape[1] != vectors[0].shape[1]:
            raise AslError(
                f"{file_path}: vectors of shape {vectors[-1].shape}, those of {files[0]} are "
                f"{vectors[0].shape}; give files of one model"
            )
    return Embeddings.from_features(np.concatenate(names), np.concatenate(vectors))


def write_descriptors(embeddings: Embeddings, path: str | Path) -> None:
    """Write one set; vectors are multiplied by their norms, so that reading restores both."""
    features = embeddings.vectors * np.exp(embeddings.log_norms)[:, None]
    with atomic_path(Path(path)) as temporary, _new(temporary) as file:
        _write(file, "vectors", features.astype(np.float32))
        _write(file, "image_names", np.char.encode(embeddings.ids, "utf-8"))


def read_submission(path: str | Path) -> tuple[QueryEmbeddings, ReferenceEmbeddings]:
    """Read a descriptor-track submission.

    It holds ``query``, ``reference`` (float32 ``[N, D]``), ``query_ids`` and ``reference_ids``.

    Raises:
        AslError: no such file, or it holds something else.
    """
    with read_errors(path, _REMEDY), _opened(Path(path)) as file:
        _need(file, path, "query", "reference", "query_ids", "reference_ids")
        query_ids = _names(file, "query_ids", path)
        reference_ids = _names(file, "reference_ids", path)
        queries = _rows(file, "query", path, count=len(query_ids))
        references = _rows(file, "reference", path, count=len(reference_ids))
    return (
        QueryEmbeddings.from_features(query_ids, queries),
        ReferenceEmbeddings.from_features(reference_ids, references),
    )


def write_submission(
    queries: QueryEmbeddings, references: ReferenceEmbeddings, path: str | Path
) -> None:
    """Write a submission: unit vectors, ids in ascending order, as the challenge asks."""
    with atomic_path(Path(path)) as temporary, _new(temporary) as file:
        for role, embeddings in (("query", queries), ("reference", references)):
            order = np.argsort(embeddings.ids)
            _write(file, role, embeddings.vectors[order])
            _write(file, f"{role}_ids", np.char.encode(embeddings.ids[order], "utf-8"))


def _new(path: Path) -> Any:
    """Create a file whose own structures have checksums (HDF5 1.8 and later read it)."""
    return h5py.File(path, "w", libver=("v108", "v108"))


def _write(file: Any, name: str, values: Any) -> None:
    """Write a dataset whose chunks have checksums, which HDF5 compares when it reads them."""
    if len(values):
        file.create_dataset(name, data=values, fletcher32=True)
    else:
        file[name] = values


def _files(path: str | Path) -> list[Path]:
    """Return the HDF5 files of a path, those of a folder in the order of their numbers."""
    whole = Path(path)
    if whole.is_dir():
        files = [file for file in whole.iterdir() if file.suffix.lower() in _SUFFIXES]
        return sorted(files, key=lambda file: _by_number(file.name))
    members = [whole] if whole.exists() else [Path(member) for member in str(path).split("+")]
    return [member for member in members if member.suffix.lower() in _SUFFIXES]


def _by_number(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _opened(path: Path) -> Any:
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise AslError(f"{path}: cannot be read as HDF5 ({error}); {_REMEDY}") from error


def _need(file: Any, path: str | Path, *names: str) -> None:
    missing = [name for name in names if name not in file]
    if missing:
        raise AslError(
            f"{path}: lacks {', '.join(missing)}; it holds {', '.join(file) or 'nothing'}"
        )
    links = [name for name in names if not isinstance(file.get(name, getlink=True), h5py.HardLink)]
    if links:
        raise AslError(
            f"{path}: {links[0]} is a link to another place; write the data into the file itself"
        )
    groups = [name for name in names if not isinstance(file[name], h5py.Dataset)]
    if groups:
        raise AslError(
            f"{path}: {groups[0]} is a group that holds {', '.join(file[groups[0]]) or 'nothing'}; "
            "write it as one dataset"
        )


def _rows(file: Any, key: str, path: str | Path, *, count: int) -> F32:
    """Read vectors, one row an id."""
    data = file[key]
    if data.ndim != 2 or data.shape[0] != count or data.dtype.kind not in "fiu":
        raise AslError(
            f"{path}: {key} is {data.dtype} of shape {data.shape}; "
            f"expected numbers of shape ({count}, D), one row an id"
        )
    return np.asarray(data[:], dtype=np.float32)


def _names(file: Any, key: str, path: str | Path) -> StrArray:
    """Read ids ``[N]`` or ``[N, 1]``, without folders and image suffixes."""
    data = file[key]
    shape = data.shape
    if len(shape) not in (1, 2) or shape[1:] not in ((), (1,)) or data.dtype.kind not in "SUO":
        raise AslError(
            f"{path}: {key} is {data.dtype} of shape {shape}; expected text of shape (N,)"
        )
    values = data[:].reshape(-1).tolist()
    raw = [value.decode() if isinstance(value, bytes) else str(value) for value in values]
    names = [name.rsplit("/", 1)[-1] for name in raw]
    if not names:
        return np.empty(0, dtype="<U1")
    return np.array([_without_suffix(name) for name in names])


def _without_suffix(name: str) -> str:
    return name.rsplit(".", 1)[0] if name.lower().endswith(_IMAGES) else name
