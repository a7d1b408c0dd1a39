"""Whole checks of single files: models, checkpoints, databases, tables, archives, descriptors."""

from __future__ import annotations

import csv
import json
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

from asl.app.inspection.finding import Contents
from asl.app.library.row_checksums import CHECKED, check_database
from asl.model_names import with_name
from asl.storage import (
    database_errors,
    is_as_written,
    json_checksum,
    open_database,
    read_checksums,
    read_errors,
    read_json,
    read_npz,
)
from asl.types import AslError

AGAIN = "copy it from a backup, or run the command again that wrote it"


def check_model(path: Path) -> Contents:
    """Load a model, whose weights and card are compared with their checksum.

    Raises:
        AslError: the file is damaged, or its weights do not fit its recipe.
    """
    from asl.models import load_embedder, model_hash
    from asl.models.model_card import read_card, read_metadata

    embedder = load_embedder(path)
    metadata = read_metadata(path)
    facts = {
        "model": with_name(model_hash(embedder)),
        "backbone": embedder.recipe.backbone,
        "dimensions": embedder.dim,
        "size": embedder.preprocessing.size,
        "card": " ".join(sorted(read_card(path))) or "empty",
    }
    old = "sha256" not in metadata
    advice = "asl export it to .safetensors to get a checksum" if old else ""
    return Contents(metadata["format"], facts, compared=not old, advice=advice)


def check_archive(path: Path) -> Contents:
    """Compare every member of a checkpoint, an exported program or a cache with its CRC-32.

    Raises:
        AslError: the file is damaged.
    """
    with read_errors(path, AGAIN), zipfile.ZipFile(path) as archive:
        if (damaged := archive.testzip()) is not None:
            raise ValueError(f"the checksum of {damaged} differs")
        names = archive.namelist()
        if path.suffix == ".ckpt" and not any(name.endswith("data.pkl") for name in names):
            raise ValueError("it holds no state")
        return Contents(facts={"members": len(names), "bytes": path.stat().st_size})


def check_arrays(path: Path) -> Contents:
    """Read every array of an ``.npz``, which is compared with its CRC-32.

    Raises:
        AslError: the file is damaged.
    """
    with read_errors(path, AGAIN), zipfile.ZipFile(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
    arrays = read_npz(path, remedy=AGAIN, names=names)
    return Contents(facts={name: list(array.shape) for name, array in arrays.items()})


def check_library(path: Path) -> Contents:
    """Check the pages of a library or a cache, and compare every row with its checksum.

    Raises:
        AslError: the file is damaged.
    """
    with closing(open_database(path, remedy=AGAIN, existing=True)) as database:
        with database_errors(path, remedy=AGAIN):
            if not database.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
                return Contents(compared=False, advice="it is empty: its first writer was stopped")
        check_database(database, path)
        with database_errors(path, remedy=AGAIN):
            meta = dict(database.execute("SELECT key, value FROM meta").fetchall())
            counts = {
                table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                for table in CHECKED
            }
            columns = {row[1] for row in database.execute("PRAGMA table_info(images)")}
            unchecked = "crc" not in columns or any(
                database.execute(f"SELECT 1 FROM {table} WHERE crc IS NULL LIMIT 1").fetchone()
                for table in CHECKED
            )
    facts = {
        "names": counts["names"],
        "contents": counts["images"],
        "verdicts": counts["verdicts"],
        "dimensions": meta.get("dim", "?"),
        "model": with_name(meta.get("model", "?")),
    }
    advice = "rows of an earlier version have no checksum; delete the file to have it built again"
    return Contents(
        meta.get("format", ""), facts, compared=not unchecked, advice=advice * unchecked
    )


def is_library(path: Path) -> bool:
    """Tell whether an SQLite file is an image store, damaged or not: by the text of its schema."""
    with path.open("rb") as file:
        start = file.read(1 << 16)
    return b"asl-images-" in start or b"CREATE TABLE verdicts" in start


def check_descriptors(path: Path) -> Contents:
    """Read all datasets of an HDF5 file; HDF5 compares those that have checksums.

    Raises:
        AslError: the file is damaged.
    """
    import h5py

    from asl.data.isc_hdf5 import read_descriptors, read_submission

    with read_errors(path, AGAIN), h5py.File(path, "r") as file:
        names = sorted(file)
        compared = bool(names) and all(
            getattr(file[name], "fletcher32", False) or not len(file[name]) for name in names
        )
    if "query" in names:
        queries, references = read_submission(path)
        facts = {
            "queries": len(queries),
            "references": len(references),
            "dimensions": queries.dim,
        }
    else:
        embeddings = read_descriptors(path)
        facts = {"images": len(embeddings), "dimensions": embeddings.dim}
    return Contents("ISC 2021", facts, compared=compared)


def check_parquet(path: Path) -> Contents:
    """Read a Parquet table, whose pages are compared with their CRC-32 where they have one.

    Raises:
        AslError: the file is damaged.
    """
    from asl.data.checked_parquet import has_checksums, read_parquet

    with read_errors(path, AGAIN):
        table = read_parquet(path)
    facts = {"rows": table.num_rows, "columns": " ".join(table.column_names)}
    return Contents(facts=facts, compared=has_checksums(table))


def check_csv(path: Path) -> Contents:
    """Read a table; pairs and ground truth also by their own reader.

    Raises:
        AslError: the file is damaged, or was edited since it was written.
    """
    from asl.data.pairs import COLUMNS, read_pairs
    from asl.data.truth import HEADER, read_truth

    compared = is_as_written(path)
    with read_errors(path, AGAIN), path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file, strict=True)
        header = next(rows, [])
        wrong = [rows.line_num for row in rows if row and len(row) != len(header)]
        if wrong:
            raise ValueError(f"line {wrong[0]} has another number of columns than the header")
    names = [name.strip().lower() for name in header]
    if names[:3] == COLUMNS:
        facts: dict[str, Any] = {"pairs": len(read_pairs(path))}
    elif names in (HEADER, HEADER[:2]):
        truth = read_truth(path)
        facts = {"queries": len(truth.queries), "pairs": len(truth)}
    else:
        with path.open(newline="", encoding="utf-8-sig") as file:
            facts = {"rows": sum(1 for row in csv.reader(file) if row) - 1}
    return Contents(facts=facts, compared=compared)


def check_text(path: Path) -> Contents:
    """Compare a page with the checksum of when it was written.

    Raises:
        AslError: it was edited or damaged since.
    """
    return Contents(facts={"bytes": path.stat().st_size}, compared=is_as_written(path))


def check_checksums(path: Path) -> Contents:
    """Read a list of checksums of text files; the files are compared one by one.

    Raises:
        AslError: the list is damaged.
    """
    listed = read_checksums(path.parent)
    gone = [name for name in listed if not (path.parent / name).exists()]
    facts = {"files": len(listed), **({"gone": " ".join(gone)} if gone else {})}
    return Contents(facts=facts, compared=False)


def check_json(path: Path) -> Contents:
    """Read a JSON file and compare it with its checksum.

    Raises:
        AslError: the file is damaged.
    """
    with read_errors(path, AGAIN):
        raw = json.loads(path.read_bytes().decode("utf-8"))
    if not isinstance(raw, dict):
        return Contents(facts={"entries": len(raw)}, compared=False)
    value = read_json(path, remedy=AGAIN)
    facts = {"keys": " ".join(list(value)[:8])}
    return Contents(str(value.get("format", "")), facts, compared="sha256" in raw)


def check_verifier(path: Path) -> Contents:
    """Read a verifier model and compare it with its checksum.

    Raises:
        AslError: the file is damaged.
    """
    from asl.matching.decision.trees import load_model

    model = load_model(path)
    raw = json.loads(path.read_text(encoding="utf-8"))
    facts = {"trees": len(model.feature), "evidence": len(model.names)}
    return Contents(raw["format"], facts, compared=raw.get("sha256") == json_checksum(raw))


def check_onnx(path: Path) -> Contents:
    """Check an ONNX model with ONNX itself.

    Raises:
        AslError: the file is damaged.
    """
    import onnx

    with read_errors(path, AGAIN):
        model = onnx.load(str(path))
        onnx.checker.check_model(model)
    return Contents(facts={"nodes": len(model.graph.node)}, compared=False)


def check_graph(path: Path) -> Contents:
    """Read a network without weights and compare it with its checksum.

    Raises:
        AslError: the file is damaged.
    """
    from asl.models.network_graph import FORMAT, read_graph

    graph = read_graph(path)
    if graph is None:
        raise AslError(f"{path}: damaged; {AGAIN}")
    facts = {"network": graph.key, "made by": graph.made_by, "weights": len(graph.weights)}
    return Contents(FORMAT, facts, compared=True)


def check_temporary(path: Path) -> Contents:
    """Describe what a writer left.

    Raises:
        AslError: always; it is no complete file.
    """
    raise AslError(
        f"{path}: not complete (its writer runs, or was killed); the next writer in this folder "
        "removes it"
    )
