"""Find everything of ours under a path, and check each of it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from asl.app.inspection import file_checks, folder_checks
from asl.app.inspection.cache_check import check_shared_cache
from asl.app.inspection.finding import Contents, Finding
from asl.app.library.content_cache import FILE as SHARED_CACHE
from asl.matching.candidates.coded_local_index import CODES
from asl.storage import CHECKSUM_LIST, absent, read_checksums, read_errors
from asl.types import AslError, UsageError

Check = Callable[[Path], Contents]
_STORE_FILE = re.compile(r"manifest\.json|shard-\d{5,}\.(npy|json)")
_INDEX_FILE = re.compile(r"index\.json|local\.npz|\d{8}\.\w+\.(npy|faiss)")
_CODES_FILE = re.compile(r"manifest\.json|write\.lock|\d{8}\.\w+\.npy")
_VECTOR_FILE = re.compile(r"manifest\.json|write\.lock|\d{8}\.(vectors|regions|facts)")
_TEMPORARY = re.compile(r"\..*\.[0-9a-f]{6}-\d+-[0-9a-f]{8}\.part")
_SQLITE = b"SQLite format 3\x00"
_SNIFFED_BYTES = 4096
# First columns of the tables that we write -> their kind.
_TABLES = {
    "query_id,reference_id,score": "pairs",
    "query_id,reference_id": "ground truth",
    "query_id,source,kind": "edits",
    "query_id,": "table of queries",
    "group,original,copy": "table of copies",
    "train_split,train,test_split": "table of leaks",
    "split,path": "files to drop",
    "run,recall,precision,score": "precision over recall",
    "path,reason": "unreadable files",
    "first,second": "hard pairs",
    "epoch,": "metrics of a training",
    "step,": "metrics of a training",
}
_OBJECTS = {
    ("scores", "context"): "metrics",
    ("digest", "hard_pairs"): "identity of training images",
    ("queries", "references"): "manifest of a benchmark",
    ("images", "pairs"): "scan",
    ("pairs", "groups"): "summary of a scan",
}


def inspect_path(path: Path) -> list[Finding]:
    """Check a file, or everything of ours in a folder.

    Args:
        path: file or folder.

    Returns:
        One finding a store, index or file, in the order of their paths; other files are left out.

    Raises:
        UsageError: there is no such path, or nothing of ours in it.
    """
    if not path.exists():
        raise UsageError(f"path: {absent(path)}; give a file or folder that asl wrote")
    if path.is_file():
        is_coded = _CODES_FILE.fullmatch(path.name) and _is_coded(path.parent)
        if is_coded or (_VECTOR_FILE.fullmatch(path.name) and _is_vectors(path.parent)):
            path = path.parent
        elif path.name == "manifest.json" or _STORE_FILE.fullmatch(path.name):
            path = path.parent if _is_store(path.parent) else path
        elif _INDEX_FILE.fullmatch(path.name) and (path.parent / "index.json").is_file():
            path = path.parent
    found = [_checked(place, *known) for place, known in _walk(path)]
    if not found:
        raise UsageError(f"{path}: no file that asl writes; give a store, index, model or result")
    return found


def _walk(path: Path) -> Iterator[tuple[Path, tuple[str, Check]]]:
    if path.is_file():
        known = _file_kind(path)
        if known:
            yield path, known
        return
    own: re.Pattern[str] | None = None
    if (path / "index.json").is_file():
        own = _INDEX_FILE
        yield path, ("index", folder_checks.check_index)
    elif _is_store(path):
        own = _STORE_FILE
        yield path, ("feature store", folder_checks.check_store)
    elif _is_coded(path):
        own = _CODES_FILE
        yield path, ("index of local features", folder_checks.check_coded)
    elif _is_vectors(path):
        own = _VECTOR_FILE
        yield path, ("vectors of a library", folder_checks.check_vectors)
    elif (path / "collections").is_dir() and path.suffix == ".db":
        yield path, ("collection", folder_checks.check_milvus)
        return
    with read_errors(path, "change its permissions"):
        entries = sorted(os.scandir(path), key=lambda entry: entry.name)
    for entry in entries:
        if own is not None and own.fullmatch(entry.name):
            continue
        if entry.is_dir(follow_symlinks=False) or entry.is_file():
            yield from _walk(Path(entry.path))


def _is_coded(folder: Path) -> bool:
    """Recognise a coded index of local features by its name, which its damaged manifest has not."""
    return folder.suffix == CODES and (folder / "manifest.json").is_file()


def _is_vectors(folder: Path) -> bool:
    """Recognise the vectors of a library by their names, also where the manifest is damaged."""
    return (folder / "manifest.json").is_file() and any(folder.glob("*.facts"))


def _is_store(folder: Path) -> bool:
    """Recognise a feature store, also where its manifest is damaged."""
    if any(folder.glob("shard-*.npy")):
        return True
    with suppress(OSError):
        return b"asl-features-" in (folder / "manifest.json").read_bytes()[:_SNIFFED_BYTES]
    return False


def _file_kind(path: Path) -> tuple[str, Check] | None:
    """Recognise a file by its suffix and its first bytes."""
    if _TEMPORARY.fullmatch(path.name):
        return "temporary file", file_checks.check_temporary
    try:
        with path.open("rb") as file:
            start = file.read(_SNIFFED_BYTES)
    except OSError:
        return None
    suffix = path.suffix.lower()
    if path.name == SHARED_CACHE:
        return "shared cache", check_shared_cache
    if path.name == CHECKSUM_LIST:
        return "checksums of text files", file_checks.check_checksums
    if suffix == ".sqlite" or start.startswith(_SQLITE):
        known = suffix == ".sqlite" or file_checks.is_library(path)
        return ("library or cache", file_checks.check_library) if known else None
    if suffix == ".json":
        return _json_kind(path, start)
    if suffix == ".csv":
        return _table_kind(start)
    if suffix in (".html", ".md") and _is_listed(path):
        return "page", file_checks.check_text
    return _BY_SUFFIX.get(suffix)


def _is_listed(path: Path) -> bool:
    with suppress(AslError):
        return path.name in read_checksums(path.parent)
    return True  # the list is damaged, which the check of the page says, too


_BY_SUFFIX: dict[str, tuple[str, Check]] = {
    ".safetensors": ("model", file_checks.check_model),
    ".ckpt": ("checkpoint", file_checks.check_archive),
    ".pt2": ("exported model", file_checks.check_archive),
    ".onnx": ("exported model", file_checks.check_onnx),
    ".graph": ("network", file_checks.check_graph),
    ".npz": ("cache of local features", file_checks.check_arrays),
    ".h5": ("descriptors", file_checks.check_descriptors),
    ".hdf5": ("descriptors", file_checks.check_descriptors),
    ".parquet": ("table", file_checks.check_parquet),
}


def _json_kind(path: Path, start: bytes) -> tuple[str, Check] | None:
    if b'"asl-verifier-trees-' in start:
        return "verifier", file_checks.check_verifier
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return "JSON", file_checks.check_json
    for keys, kind in _OBJECTS.items():
        if isinstance(value, dict) and all(key in value for key in keys):
            return kind, file_checks.check_json
    if isinstance(value, dict) and "sha256" in value:
        return "JSON", file_checks.check_json
    is_table = isinstance(value, list) and value and isinstance(value[0], dict)
    if is_table and {"original", "copy", "probability"} <= value[0].keys():
        return "table of copies", file_checks.check_json
    return None


def _table_kind(start: bytes) -> tuple[str, Check] | None:
    text = start.decode("utf-8-sig", "replace").lower()
    for header, kind in _TABLES.items():
        if text.startswith(header):
            return kind, file_checks.check_csv
    return None


def _checked(path: Path, kind: str, check: Check) -> Finding:
    try:
        with read_errors(path, file_checks.AGAIN):
            return Finding(path, kind, check(path))
    except AslError as error:
        return Finding(path, kind, damage=" ".join(str(error).split()))
