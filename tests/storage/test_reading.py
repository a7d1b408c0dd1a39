"""Damage is one line that names the file and what to do, whatever a parser makes of the bytes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from asl.storage import (
    ReadError,
    WriteError,
    checksum,
    database_errors,
    file_stamp,
    open_database,
    printable_name,
    read_errors,
    read_json,
    read_npy,
    read_npz,
)
from asl.types import AslError

REMEDY = "make it again"
Reader = Callable[[Path], object]
READERS: dict[str, Reader] = {
    "json": lambda path: read_json(path, remedy=REMEDY),
    "npy": lambda path: read_npy(path, remedy=REMEDY),
    "mapped": lambda path: read_npy(path, remedy=REMEDY, mapped=True),
    "npz": lambda path: read_npz(path, remedy=REMEDY, names=("a", "b")),
    "sqlite": lambda path: open_database(path, remedy=REMEDY, existing=True),
}


def write(path: Path, kind: str) -> None:
    if kind == "json":
        path.write_text(json.dumps({"a": [1.5] * 20, "b": {"c": "d"}}))
    elif kind == "npz":
        with path.open("wb") as file:
            np.savez(file, a=np.arange(40), b=np.zeros((3, 4), np.float32))
    elif kind == "sqlite":
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE t (a TEXT)")
            database.executemany("INSERT INTO t VALUES (?)", [("x" * 50,)] * 400)
        database.close()
    else:
        with path.open("wb") as file:
            np.save(file, np.arange(60, dtype=np.float32).reshape(12, 5))


def refusal(reader: Reader, path: Path) -> str:
    try:
        opened = reader(path)
    except ReadError as error:
        return str(error)
    if isinstance(opened, sqlite3.Connection):
        opened.close()
    return ""


@pytest.mark.parametrize("kind", READERS)
def test_every_kind_of_damage_is_one_kind_of_error(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file"
    write(path, kind)
    assert refusal(READERS[kind], path) == ""
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    cases = [b"", b"\0" * 64, b"[" * 100_000, b"\xff\xfe" * 40, b"PK\x03\x04" + whole, whole[:40]]
    for _ in range(300):
        data = bytearray(whole)
        for place in rng.integers(0, min(len(data), 400), 3):
            data[place] = int(rng.integers(256))
        whole_or_cut = len(data) if rng.random() < 0.7 else int(rng.integers(len(data)))
        cases.append(bytes(data[:whole_or_cut]))
    refused = 0
    for data in cases:
        path.write_bytes(data)
        text = refusal(READERS[kind], path)
        assert text == "" or text.startswith(f"{path}: ")
        assert text == "" or text.endswith("; make it again")
        assert "\n" not in text
        refused += bool(text)
    assert refused >= 6 - (kind == "sqlite"), "an empty SQLite file is an empty database"


@pytest.mark.parametrize("kind", READERS)
def test_a_missing_file_is_named(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ReadError, match=r"absent: cannot be read \(there is no such file\); make"):
        READERS[kind](tmp_path / "absent")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read anything")
@pytest.mark.parametrize("kind", [kind for kind in READERS if kind != "sqlite"])
def test_a_forbidden_file_is_not_called_damaged(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file"
    write(path, kind)
    path.chmod(0)
    with pytest.raises(ReadError, match=r"cannot be read \(Permission denied\)"):
        READERS[kind](path)


def test_a_json_object(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"a": 1}')
    assert read_json(path, remedy=REMEDY) == {"a": 1}
    path.write_text("[1]")
    with pytest.raises(ReadError, match="expected a JSON object, found list"):
        read_json(path, remedy=REMEDY)


def test_an_array_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((3, 5), np.float16))
    assert read_npy(path, remedy=REMEDY, dtype=np.float16, shape=(None, 5)).shape == (3, 5)
    with pytest.raises(ReadError, match=r"\(holds float16 \[3, 5\], expected float32 \[\?, 5\]\)"):
        read_npy(path, remedy=REMEDY, dtype=np.float32, shape=(None, 5))
    with pytest.raises(ReadError, match=r"\(holds float16 \[3, 5\], expected \[4, 5\]\)"):
        read_npy(path, remedy=REMEDY, shape=(4, 5))
    assert not isinstance(read_npy(path, remedy=REMEDY), np.memmap)
    assert isinstance(read_npy(path, remedy=REMEDY, mapped=True), np.memmap)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ReadError, match="Object arrays cannot be loaded"):
        read_npy(tmp_path / "a.npy", remedy=REMEDY)
    np.savez(tmp_path / "a.npz", a=np.array([{}], dtype=object))
    with pytest.raises(ReadError, match="Object arrays cannot be loaded"):
        read_npz(tmp_path / "a.npz", remedy=REMEDY, names=["a"])


def test_arrays_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, a=np.arange(3), b=np.zeros(2))
    assert read_npz(path, remedy=REMEDY, names=["a"])["a"].tolist() == [0, 1, 2]
    with pytest.raises(ReadError, match=r"damaged \(lacks c\)"):
        read_npz(path, remedy=REMEDY, names=["a", "c"])
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", b"no array")
    with pytest.raises(ReadError, match="damaged"):
        read_npz(path, remedy=REMEDY, names=["a"])


def test_errors_of_a_database_name_its_file(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    write(path, "sqlite")
    data = bytearray(path.read_bytes())
    data[4096:8192] = b"\xff" * 4096
    path.write_bytes(data)
    with open_database(path, remedy=REMEDY, existing=True) as database:
        with (
            pytest.raises(ReadError, match=r"a\.sqlite: damaged \(.*malformed\); make it again"),
            database_errors(path, remedy=REMEDY),
        ):
            database.execute("SELECT * FROM t").fetchall()
        with (
            pytest.raises(WriteError, match="full") as caught,
            database_errors(path, remedy=REMEDY),
        ):
            raise sqlite3.OperationalError("database or disk is full")
        assert caught.value.disk_full

        with pytest.raises(ReadError, match="in use"), database_errors(path, remedy=REMEDY):
            raise sqlite3.OperationalError("database is locked")
    database.close()


def test_a_database_can_be_made(tmp_path: Path) -> None:
    database = open_database(tmp_path / "a.sqlite", remedy=REMEDY)
    database.close()
    with pytest.raises(ReadError, match=r"absent/a\.sqlite: cannot be opened"):
        open_database(tmp_path / "absent" / "a.sqlite", remedy=REMEDY)


def test_a_checksum_is_that_of_all_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1" * (3 << 20))
    (tmp_path / "b").write_bytes(b"2")
    expected = hashlib.sha256(b"1" * (3 << 20) + b"2").hexdigest()
    assert checksum(tmp_path / "a", tmp_path / "b", remedy=REMEDY) == expected
    with pytest.raises(ReadError, match="absent"):
        checksum(tmp_path / "a", tmp_path / "absent", remedy=REMEDY)


def test_stamps_and_names(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12")
    assert file_stamp(path) == f"2 {path.stat().st_mtime_ns}"
    assert printable_name(os.fsdecode(b"caf\xe9.jpg")) == "caf\\xe9.jpg"
    assert printable_name("写真") == "写真"


def test_other_formats_fail_alike(tmp_path: Path) -> None:
    with (
        pytest.raises(ReadError, match=r"a\.h5: damaged \('bad'\); make it again"),
        read_errors(tmp_path / "a.h5", REMEDY),
    ):
        raise KeyError("bad") from None
    with pytest.raises(AslError, match=r"^as it was$"), read_errors(tmp_path / "a.h5", REMEDY):
        raise AslError("as it was")


@pytest.mark.parametrize(("free", "full"), [(0, True), (1 << 30, False)])
def test_a_good_database_on_a_full_disk_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, full: bool
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    with (
        pytest.raises(AslError) as caught,
        database_errors(tmp_path / "cache.sqlite", remedy="delete it"),
    ):
        raise sqlite3.OperationalError("disk I/O error")
    assert ("the disk is full" in str(caught.value)) == full
    assert ("delete it" in str(caught.value)) != full
