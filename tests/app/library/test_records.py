"""Rows of an image store."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest

from asl.app.library.facts import Facts
from asl.app.library.image_store import ImageStore
from asl.app.library.records import IngestResult, Name, Record, Source

FACTS = Facts(4, 3, 100, "PNG")


def test_defaults_say_nothing_was_embedded() -> None:
    record = Record("d", FACTS)
    assert (record.feature, record.thumbnail, record.failure, record.regions) == (
        None,
        b"",
        "",
        None,
    )
    assert IngestResult(Source("n", b"x")) == IngestResult(Source("n", b"x"), "", "", False)


def test_records_of_arrays_are_themselves_and_names_are_values() -> None:
    """Arrays have no truth value: equality by value would raise."""
    feature = np.zeros(3, np.float32)
    assert (Record("d", FACTS, feature) == Record("d", FACTS, feature)) is False
    assert Name("a", "d") == Name("a", "d")
    assert Name("a", "d") != Name("a", "d", size=1)
    for value, field in ((Name("a", "d"), "digest"), (Record("d", FACTS), "feature")):
        with pytest.raises(FrozenInstanceError):
            setattr(value, field, None)


def test_every_field_comes_back_from_a_store(tmp_path: Path) -> None:
    store = ImageStore(tmp_path / "s.sqlite", model="m", dim=3)
    regions = np.arange(6, dtype=np.float32).reshape(2, 3)
    record = Record("d" * 64, FACTS, np.array([1, 2, 3], np.float32), b"jpeg", "", regions)
    name = Name("n", record.digest, label="写真.jpg", size=7, changed=8, path="/photos/a.jpg")
    store.put([record], [name], regions="r")
    assert store.find("n") == name
    assert store.facts([record.digest]) == {record.digest: FACTS}
    np.testing.assert_array_equal(store.features([record.digest]), record.feature[None])
    assert store.region_features("r", [record.digest]).reshape(2, 3).tolist() == regions.tolist()
    assert store.thumbnail(record.digest) == b"jpeg"
    store.close()
