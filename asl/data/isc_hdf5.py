"""The HDF5 files of the ISC 2021 challenge: descriptors of one set, or a submission of both sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from asl.storage import atomic_path
from asl.types import AslError, Embeddings, QueryEmbeddings, ReferenceEmbeddings, StrArray


def read_descriptors(path: str | Path) -> Embeddings:
    """Read one set (``vectors`` float32 ``[N, D]``, ``image_names``); ids lose folders and the file suffix.

    The rows need not be unit length; their lengths become the log-norms.

    Raises:
        AslError: no such file, or it holds something else.
    """
    with _opened(Path(path)) as file:
        _need(file, path, "vectors", "image_names")
        return Embeddings.from_features(_names(file["image_names"]), file["vectors"][:])


def write_descriptors(embeddings: Embeddings, path: str | Path) -> None:
    """Write one set with its lengths (vector times norm), so that reading gives the same embeddings."""
    features = embeddings.vectors * np.exp(embeddings.log_norms)[:, None]
    with atomic_path(Path(path)) as temporary, h5py.File(temporary, "w") as file:
        file["vectors"] = features.astype(np.float32)
        file["image_names"] = np.char.encode(embeddings.ids, "utf-8")


def read_submission(path: str | Path) -> tuple[QueryEmbeddings, ReferenceEmbeddings]:
    """Read a descriptor-track submission (``query``, ``reference``, ``query_ids``, ``reference_ids``)."""
    with _opened(Path(path)) as file:
        _need(file, path, "query", "reference", "query_ids", "reference_ids")
        queries = QueryEmbeddings.from_features(_names(file["query_ids"]), file["query"][:])
        return queries, ReferenceEmbeddings.from_features(
            _names(file["reference_ids"]), file["reference"][:]
        )


def write_submission(
    queries: QueryEmbeddings, references: ReferenceEmbeddings, path: str | Path
) -> None:
    """Write a submission: unit vectors, ids in ascending order, as the challenge asks."""
    with atomic_path(Path(path)) as temporary, h5py.File(temporary, "w") as file:
        for role, embeddings in (("query", queries), ("reference", references)):
            order = np.argsort(embeddings.ids)
            file[role] = embeddings.vectors[order]
            file[f"{role}_ids"] = np.char.encode(embeddings.ids[order], "utf-8")


def _opened(path: Path) -> Any:
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise AslError(f"{path}: cannot be read as HDF5 ({error})") from error


def _need(file: Any, path: str | Path, *names: str) -> None:
    missing = [name for name in names if name not in file]
    if missing:
        raise AslError(f"{path}: lacks {', '.join(missing)}; it holds {', '.join(file)}")


def _names(dataset: Any) -> StrArray:
    raw = [
        value.decode() if isinstance(value, bytes) else str(value) for value in dataset[:].tolist()
    ]
    names = [name.rsplit("/", 1)[-1] for name in raw]
    return np.array(
        [
            name.rsplit(".", 1)[0] if name.lower().endswith((".jpg", ".png")) else name
            for name in names
        ]
    )
