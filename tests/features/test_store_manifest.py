"""A store's JSON files: every kind of damage is one line, and no shard is outside the store."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asl.features.feature_store import FeatureStore
from asl.storage import ReadError
from asl.types import AslError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    store = FeatureStore.create(tmp_path / "store", model="m", dim=3, preprocessing={"size": 1})
    store.add(["a", "b"], np.ones((2, 3), np.float32), [("c", "broken")], stamps=["1", "2", "3"])
    store.add(["b"], np.ones((1, 3), np.float32), [], stamps=["4"], replaces=True)
    store.forget(["a"])
    return store.path


Change = Callable[[dict[str, Any]], object]
MANIFESTS: list[Change] = [
    lambda m: m.pop("model"),
    lambda m: m.update(dim="3"),
    lambda m: m.update(dim=-3),
    lambda m: m.update(preprocessing=[]),
    lambda m: m.update(shards={}),
    lambda m: m["shards"].append(None),
    lambda m: m["shards"][0].update(name="../../elsewhere/shard-00000"),
    lambda m: m["shards"][0].update(name=7),
    lambda m: m["shards"][1].pop("sha256"),
    lambda m: m["shards"][1].update(images=-1),
    lambda m: m["shards"][1].update(failures=True),
]
LISTINGS: list[Change] = [
    lambda f: f.pop("ids"),
    lambda f: f.update(ids=["a"]),
    lambda f: f.update(ids=["a", None]),
    lambda f: f.update(ids="ab"),
    lambda f: f.update(failures=[["c"]]),
    lambda f: f.update(failures=[]),
    lambda f: f.update(stamps=["1"]),
    lambda f: f.update(stamps=7),
    lambda f: f.update(forgotten=[[]]),
    lambda f: f.update(forgotten="a"),
]


@pytest.mark.parametrize("number", range(len(MANIFESTS)))
def test_a_damaged_manifest_is_found_when_the_store_is_opened(folder: Path, number: int) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["sha256"]  # as version 0.1.0 wrote it
    MANIFESTS[number](manifest)
    path.write_text(json.dumps(manifest))
    with pytest.raises(ReadError, match=r"manifest\.json: damaged \(.*\); delete the store"):
        FeatureStore.open(folder)


@pytest.mark.parametrize("number", range(len(LISTINGS)))
def test_a_damaged_listing_is_found_when_it_is_read(folder: Path, number: int) -> None:
    path = folder / "shard-00000.json"
    listing = json.loads(path.read_text())
    LISTINGS[number](listing)
    path.write_text(json.dumps(listing))
    with pytest.raises(ReadError, match=r"shard-00000\.json: damaged \(its checksum differs\)"):
        FeatureStore.open(folder).stamps()
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["sha256"], manifest["shards"][0]["listing"]  # as version 0.1.0 wrote it
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ReadError, match=r"shard-00000\.json: damaged \(expected .*\); delete"):
        FeatureStore.open(folder).stamps()


def refusal(folder: Path) -> str:
    try:
        store = FeatureStore.open(folder)
        store.stamps()
        store.embeddings()
        store.verify()
    except AslError as error:
        return str(error)
    return ""


def test_mutated_stores_give_values_or_one_line(folder: Path) -> None:
    rng = np.random.default_rng(0)
    files = sorted(path for path in folder.iterdir() if path.suffix in (".json", ".npy"))
    originals = {path: path.read_bytes() for path in files}
    refused = 0
    for turn in range(400):
        path = files[turn % len(files)]
        data = bytearray(originals[path])
        for _ in range(int(rng.integers(1, 4))):
            data[int(rng.integers(len(data)))] = int(rng.integers(256))
        path.write_bytes(data[: len(data) - int(rng.integers(20)) * int(rng.random() < 0.3)])
        message = refusal(folder)
        assert "\n" not in message
        refused += bool(message)
        path.write_bytes(originals[path])
    assert refused > 390, "verified, hardly a change of a byte is accepted"
