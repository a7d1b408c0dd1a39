"""Stores of one search, and stores with their regions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from asl.features.cropping import Region
from asl.features.feature_store import FeatureStore
from asl.features.regions import region_path
from asl.features.store_groups import check_models, forget_gone, gone_images, verify_all
from asl.model_names import packaged_hashes
from asl.shared_defaults import MODELS
from asl.types import AslError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images a to d, whole and of one region."""
    region = Region(0.0, 0.0, 0.5, 0.5)
    for path in (tmp_path / "store", region_path(tmp_path / "store", region)):
        store = FeatureStore.create(path, model="m", dim=3, preprocessing={})
        store.add(list("abcd"), np.eye(4, 3, dtype=np.float32) + 1, [], stamps=list("1234"))
    return tmp_path / "store"


def test_models_must_agree() -> None:
    check_models({"queries": "m", "references": "m", "background": ""})
    with pytest.raises(AslError, match=r"queries, references: features of different models \(que"):
        check_models({"queries": "m", "references": "n", "background": ""})
    old, new = (packaged_hashes()[name] for name in MODELS)
    stores = {"queries": new, "references": old}
    with pytest.raises(AslError, match=r"references: asl_lite0\); extract all of them with one"):
        check_models(stores)
    with pytest.raises(AslError, match=r"references: asl_lite0\); give model=asl_lite0, or extr"):
        check_models(stores, embedded=["queries"])


def test_images_that_are_gone_leave_the_store_and_its_regions(folder: Path) -> None:
    assert gone_images(folder.parent / "none", [], share=0) == []
    assert gone_images(folder, ["a", "b", "c", "x"], share=0.3) == ["d"]
    with pytest.raises(AslError, match=r"prune: 2 of 4 images of .* e\.g\. 'c'"):
        gone_images(folder, ["a", "b"], share=0.3)
    assert forget_gone(folder, ["a", "b", "c"], share=0.3) == 1
    for path in (folder, next((folder / "regions").iterdir())):
        assert FeatureStore.open(path).ids.tolist() == ["a", "b", "c"]
    with pytest.raises(AslError, match="nothing would be left"):
        forget_gone(folder, ["x"], share=1)


def test_every_shard_is_verified(folder: Path) -> None:
    verify_all(folder)
    shard = next((folder / "regions").iterdir()) / "shard-00000.npy"
    shard.write_bytes(shard.read_bytes()[:-1] + b"\0")
    with pytest.raises(AslError, match="shard-00000 is not what was written"):
        verify_all(folder)
