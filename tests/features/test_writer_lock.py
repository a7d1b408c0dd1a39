"""Two writers of one store exclude each other."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from asl.features.feature_store import FeatureStore
from asl.features.writer_lock import one_writer
from asl.types import AslError


def some(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 5)).astype(np.float32)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    """Images a..f, of which b is replaced by a later shard, and g, which failed."""
    made = FeatureStore.create(tmp_path / "store", model="m", dim=5, preprocessing={})
    made.add(["a", "b", "c"], some(3), [("g", "broken")], stamps=["1", "2", "3", "4"])
    made.add(["b", "d", "e", "f"], some(4, 1), [], stamps=["5", "6", "7", "8"], replaces=True)
    return made


def test_two_processes_do_not_write_into_one_store(store: FeatureStore, commands: Path) -> None:
    other = "import sys, pathlib; from asl.features.writer_lock import one_writer\n"
    other += "with one_writer([pathlib.Path(name) for name in sys.argv[1:]]): print('written')"
    command = [commands / "python", "-c", other, store.path, store.path / "regions" / "one"]
    with one_writer([store.path / "regions" / "one"]):
        refused = subprocess.run(command, capture_output=True, text=True)
        assert "another process writes into it" in refused.stderr
        assert not (store.path / ".lock").exists(), "what it had taken already is free again"
    with (
        one_writer([store.path]),
        pytest.raises(AslError, match="writes into it"),
        one_writer([store.path]),
    ):
        pass  # nor two threads of one process
    allowed = subprocess.run(command, capture_output=True, text=True)
    assert allowed.stdout == "written\n", allowed.stderr
    assert not list(store.path.rglob(".lock"))
