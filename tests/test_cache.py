"""``asl cache``: what is in it, and emptying it."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from asl.app.library.content_cache import ContentCache
from asl.cli import start


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ASL_CACHE", str(tmp_path))
    return tmp_path / "contents.db"


def test_it_is_shown_and_emptied(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert start("cache", []) == 0
    assert f"{path}: 0 pictures, 0.0 MB of at most 4,000" in capsys.readouterr().out
    assert not path.exists()
    with closing(ContentCache(path, limit=10**9)) as cache:
        cache.put("picture k", [("a", bytes(10**6)), ("b", b"")])
        cache.put("l", [("a", b"")])
        assert start("cache", []) == 0
        assert f"{path}: 2 pictures, 1.0 MB of at most 4,000" in capsys.readouterr().out
        assert start("cache", ["--empty"]) == 0
        assert "2 pictures, 1.0 MB of at most 4,000; emptied" in capsys.readouterr().out
        assert start("cache", ["--json"]) == 0
        assert json.loads(capsys.readouterr().out)["entries"] == 0
        assert cache.get("picture k", ["a"]) == {}, "for those who have it open, too"
    assert path.stat().st_size < 10**5


def test_a_damaged_one_is_named_and_deleted(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_bytes(b"no database" * 1000)
    assert start("cache", []) == 1
    assert "contents.db" in (message := capsys.readouterr().err)
    assert "asl cache --empty" in message
    assert start("cache", ["--empty"]) == 0
    assert "was damaged, deleted" in capsys.readouterr().out
    assert not path.exists()


def test_off_and_a_wrong_limit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start("cache", []) == 0
    assert "the cache is off" in capsys.readouterr().out
    monkeypatch.setenv("ASL_CACHE_GB", "lots")
    assert start("cache", []) == 2
    assert "ASL_CACHE_GB: must be a number of gigabytes above 0" in capsys.readouterr().err
