"""Atomic writes, locks, checksums, and readers with one kind of error.

Everything that writes a file goes through :mod:`asl.storage.writing`, everything that reads one
back through :mod:`asl.storage.reading`, and who must write alone takes a lock of
:mod:`asl.storage.locking`.
"""

from asl.storage.locking import exclusive_lock
from asl.storage.reading import (
    ReadError,
    checksum,
    database_errors,
    file_stamp,
    open_database,
    read_errors,
    read_json,
    read_npy,
    read_npz,
)
from asl.storage.sealed_json import json_checksum, sealed, without_seal
from asl.storage.text_checksums import (
    CHECKSUM_LIST,
    is_as_written,
    read_checksums,
    recorded,
    remove_stale,
)
from asl.storage.undecoded_names import path_of_printable, printable_name
from asl.storage.user_cache import FOLDER_VARIABLE, cache_folder
from asl.storage.wanted_paths import absent, dead_link, make_folder, no_folder
from asl.storage.writing import (
    WriteError,
    atomic_binary,
    atomic_folder,
    atomic_path,
    atomic_text,
    write_bytes,
    write_json,
)

__all__ = [
    "CHECKSUM_LIST",
    "FOLDER_VARIABLE",
    "ReadError",
    "WriteError",
    "absent",
    "atomic_binary",
    "atomic_folder",
    "atomic_path",
    "atomic_text",
    "cache_folder",
    "checksum",
    "database_errors",
    "dead_link",
    "exclusive_lock",
    "file_stamp",
    "is_as_written",
    "json_checksum",
    "open_database",
    "make_folder",
    "no_folder",
    "path_of_printable",
    "printable_name",
    "read_checksums",
    "read_errors",
    "read_json",
    "read_npy",
    "read_npz",
    "recorded",
    "remove_stale",
    "sealed",
    "without_seal",
    "write_bytes",
    "write_json",
]
