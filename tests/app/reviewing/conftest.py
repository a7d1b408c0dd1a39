from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.app.reviewing.scan_results import SavedScan, save_scan


@pytest.fixture
def saved(tmp_path: Path) -> SavedScan:
    return save_scan(tmp_path)


@pytest.fixture
def trash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A trash folder of the test's own, in place of the user's."""
    if not hasattr(os, "getuid"):
        pytest.skip("the freedesktop trash is that of Linux")
    import send2trash
    from send2trash import plat_other

    data = tmp_path / "data"
    data.mkdir()
    monkeypatch.setenv("XDG_DATA_HOME", str(data))
    monkeypatch.setattr(plat_other, "XDG_DATA_HOME", os.fsencode(data))
    monkeypatch.setattr(plat_other, "HOMETRASH_B", os.fsencode(data / "Trash"))
    monkeypatch.setattr(plat_other, "HOMETRASH", str(data / "Trash"))
    monkeypatch.setattr(plat_other, "get_dev", lambda path: 0)  # also where /tmp is another disk
    monkeypatch.setattr(send2trash, "send2trash", plat_other.send2trash)
    return data / "Trash"
