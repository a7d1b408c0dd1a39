"""Caches of scans with other models: found, named, not mixed in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from asl.app.scanning.scan_cache import cache_of, cache_path, note_on_other_caches
from asl.console.schemas.scan_config import ScanConfig
from asl.model_names import packaged_hashes
from asl.shared_defaults import MODEL, MODELS

OLD = next(name for name in MODELS if name != MODEL)


@pytest.mark.parametrize("given", [None, Path("mine.db")])
def test_a_cache_of_another_packaged_model_is_named_until_this_one_has_its_own(
    given: Path | None, tmp_path: Path
) -> None:
    options = ScanConfig(photos=[], output=tmp_path, cache=given and tmp_path / given)
    assert note_on_other_caches(options) == ""
    old = cache_path(cache_of(options), packaged_hashes()[OLD])
    old.touch()
    note = note_on_other_caches(options)
    assert note.startswith(f"note: {old} was made with {OLD}, and every picture is embedded again")
    assert f"with {MODEL}; model={OLD} goes on with it" in note
    assert note_on_other_caches(replace(options, model=OLD)) == ""
    cache_path(cache_of(options), packaged_hashes()[MODEL]).touch()
    assert note_on_other_caches(options) == ""


def test_a_scan_with_a_model_of_ones_own_says_nothing(tmp_path: Path) -> None:
    options = ScanConfig(photos=[], output=tmp_path, model="mine.safetensors")
    cache_path(cache_of(options), packaged_hashes()[OLD]).touch()
    assert note_on_other_caches(options) == ""
