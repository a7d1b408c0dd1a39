"""Whole checks of folders: feature stores, indexes, libraries of Milvus Lite."""

from __future__ import annotations

from pathlib import Path

from asl.app.inspection.finding import Contents
from asl.app.library import vector_rows
from asl.features.feature_store import FeatureStore
from asl.index.file_seal import check_seal
from asl.index.saved_index import SavedIndex
from asl.matching.candidates.piece_files import FORMAT, read_pieces
from asl.matching.candidates.quantiser import load_quantiser
from asl.model_names import with_name
from asl.storage import read_npz
from asl.types import AslError

_REBUILD = "delete it: the next search builds it again"


def check_store(folder: Path) -> Contents:
    """Compare every shard of a feature store with its checksum, and read every feature.

    Raises:
        AslError: something is missing or damaged.
    """
    store = FeatureStore.open(folder)
    store.verify()
    for shard in store.pieces():
        del shard  # reading it checks the norms
    facts = {
        "images": len(store),
        "failed": len(store.failures),
        "forgotten": len(store.forgotten()),
        "shards": len(store.manifest["shards"]),
        "dimensions": store.manifest["dim"],
        "model": with_name(store.manifest["model"]),
    }
    return Contents(str(store.manifest["format"]), facts)


def check_index(folder: Path) -> Contents:
    """Compare every file of an index with its checksum.

    Raises:
        AslError: something is missing or damaged.
    """
    index = SavedIndex.open(folder, check_files=True)
    references = index.references()
    derived, old = [], "checksums" not in index.manifest
    for file in sorted(folder.glob(f"{index.manifest['generation']:08d}.*.faiss")):
        check_seal(file, remedy=_REBUILD, required=not old)
        derived.append(file.name.split(".")[1])
    local = folder / "local.npz"
    if local.is_file():
        read_npz(local, remedy=_REBUILD, names=("key", "counts", "index"))
        derived.append("local features")
    facts = {
        "references": len(references),
        "dimensions": references.dim,
        "model": with_name(index.manifest["model"]),
        "generation": index.manifest["generation"],
        **({"beside it": " ".join(derived)} if derived else {}),
    }
    advice = "build the index again to get checksums" if old else ""
    return Contents(str(index.manifest["format"]), facts, compared=not old, advice=advice)


def check_coded(folder: Path) -> Contents:
    """Compare every file of a coded index of local features with its checksum.

    Raises:
        AslError: something is missing or damaged.
    """
    pieces = [keyed.piece for keyed in read_pieces(folder, load_quantiser(), check_files=True)]
    facts = {
        "images": sum(piece.images for piece in pieces),
        "features": sum(len(piece) for piece in pieces),
        "pieces": len(pieces),
    }
    return Contents(FORMAT, facts)


def check_vectors(folder: Path) -> Contents:
    """Compare every row of the vectors of a library with its checksum.

    Raises:
        AslError: a file is missing or damaged.
    """
    count = vector_rows.check_rows(folder)
    return Contents(vector_rows.FORMAT, {"references": count})


def check_milvus(folder: Path) -> Contents:
    """Count the collections of a Milvus Lite library; Milvus has its own checks of their files.

    Raises:
        AslError: a collection has no manifest.
    """
    collections = sorted(path for path in (folder / "collections").iterdir() if path.is_dir())
    for path in collections:
        if not (path / "manifest.json").is_file():
            raise AslError(f"{path}: damaged (it has no manifest.json); fill the collection again")
    facts = {"collections": " ".join(path.name for path in collections)}
    advice = "compare with a search of the store that filled it"
    return Contents("Milvus Lite", facts, compared=False, advice=advice)
