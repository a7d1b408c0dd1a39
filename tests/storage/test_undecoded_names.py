"""Names that are not UTF-8: text files stay valid, JSON leads back to the file."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from asl.storage import atomic_text, path_of_printable, printable_name, read_json, write_json

NAME = os.fsdecode(b"a\xff\xc3\xa9.jpg") if os.name == "posix" else "a\udcff\u00e9.jpg"


def test_a_name_is_printable() -> None:
    assert printable_name(NAME) == "a\\xff\u00e9.jpg"
    assert printable_name("plain.jpg") == "plain.jpg"
    assert printable_name("\ud83d.jpg") == "\\ud83d.jpg"  # Windows has such names


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text on this system")
def test_a_printable_name_leads_back_to_an_existing_file(tmp_path: Path) -> None:
    odd, shown = tmp_path / NAME, str(tmp_path / "a\\xff\u00e9.jpg")
    assert path_of_printable(shown) == shown, "there is no such file"
    odd.touch()
    assert path_of_printable(shown) == str(odd)
    Path(shown).touch()
    assert path_of_printable(shown) == shown, "a file of that very name comes first"


def test_a_text_file_shows_it(tmp_path: Path) -> None:
    with atomic_text(tmp_path / "table.csv") as file:
        file.write(f"{NAME},1\n")
    assert (tmp_path / "table.csv").read_text(encoding="utf-8") == "a\\xff\u00e9.jpg,1\n"


def test_json_leads_back_to_the_file(tmp_path: Path) -> None:
    write_json(tmp_path / "facts.json", {"root": NAME})
    assert read_json(tmp_path / "facts.json", remedy="write it again")["root"] == NAME
    assert json.loads((tmp_path / "facts.json").read_text(encoding="utf-8"))["root"] == NAME
