"""JSON objects carry their checksum."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from asl.storage import ReadError, json_checksum, read_json, sealed, without_seal, write_json


def test_a_checksum_is_of_the_content_alone() -> None:
    first = json_checksum({"count": 3, "dim": 2})
    assert json_checksum({"dim": 2, "sha256": "x", "count": 3}) == first
    assert json_checksum({"count": 4, "dim": 2}) != first
    assert without_seal(sealed({"a": 1})) == {"a": 1}
    assert without_seal({"a": 1}) == {"a": 1}, "earlier versions wrote none"
    digest = {"digest": "0" * 64}
    assert without_seal(dict(digest)) == digest
    for seal in (
        {"sha256": None},
        {"sha256": "0" * 64},
        {"sla256": "0" * 64},
        {"shaa256": "0" * 64},
    ):
        with pytest.raises(ValueError, match="its checksum"):
            without_seal({"a": 1, **seal})


def test_a_written_object_is_compared_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    value = {"b": [1, 2.5], "a": {"name": "é"}, "none": None}
    write_json(path, value)
    assert read_json(path, remedy="write it again") == value
    whole = json.loads(path.read_text(encoding="utf-8"))
    assert list(whole)[-1] == "sha256"
    path.write_bytes(path.read_bytes().replace(b"2.5", b"3.5"))
    with pytest.raises(ReadError, match=r"facts\.json: damaged \(its checksum differs\); write it"):
        read_json(path, remedy="write it again")


def test_bytes_are_compared_with_a_known_checksum(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_bytes(b'{"ids": []}')
    with pytest.raises(ReadError, match="its checksum differs"):
        read_json(path, remedy="write it again", sha256="0" * 64)


def test_a_list_has_no_checksum(tmp_path: Path) -> None:
    write_json(tmp_path / "list.json", [1, 2])
    assert json.loads((tmp_path / "list.json").read_text()) == [1, 2]
