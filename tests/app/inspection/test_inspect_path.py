"""Files that are written now carry checksums; changed ones are damaged, whatever changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from asl.app.inspection.finding import Contents, Finding
from asl.app.inspection.inspect_path import inspect_path
from asl.app.library.content_cache import ContentCache
from asl.app.library.facts import Facts
from asl.app.library.image_store import ImageStore
from asl.app.library.records import Name, Record
from asl.data.isc_hdf5 import write_descriptors, write_submission
from asl.data.pairs import write_pairs
from asl.features.feature_store import FeatureStore
from asl.index.saved_index import SavedIndex
from asl.storage import write_json
from asl.types import Embeddings, ScoredPairs, UsageError

IMAGES = Embeddings.from_features(
    [f"i{n}" for n in range(6)], np.random.default_rng(0).normal(size=(6, 4))
)


def store(path: Path) -> None:
    made = FeatureStore.create(path, model="m", dim=4, preprocessing={})
    made.add(IMAGES.ids.tolist(), IMAGES.vectors, [("bad", "no image")])


def library(path: Path) -> None:
    made = ImageStore(path, model="m", dim=4)
    record = Record("d", Facts(8, 8, 99), IMAGES.vectors[0], b"a thumbnail")
    made.put([record], [Name("photo", "d")])
    made.put_verdicts("v", [("d", "d", "{}")])
    made.close()


def pairs(path: Path) -> None:
    write_pairs(ScoredPairs.from_ids(["q1", "q2"], ["r1", "r2"], [0.75, 0.5]), path)


def checkpoint(path: Path) -> None:
    import torch

    torch.save({"state_dict": {"weight": torch.arange(40.0)}}, path)


def shared_cache(path: Path) -> None:
    with closing(ContentCache(path, limit=10**9)) as cache:
        cache.put("picture k", [("d", b"a thumbnail")])


MAKERS: dict[str, Callable[[Path], object]] = {
    "store": store,
    "index": lambda path: SavedIndex.create(path, IMAGES, model="m"),
    "library.sqlite": library,
    "pairs.parquet": pairs,
    "set.h5": lambda path: write_descriptors(IMAGES, path),
    "both.h5": lambda path: write_submission(IMAGES.as_queries(), IMAGES.as_references(), path),
    "metrics.json": lambda path: write_json(path, {"scores": {"a": 0.75}, "context": {}}),
    "last.ckpt": checkpoint,
    "contents.db": shared_cache,
}


@pytest.fixture(params=MAKERS)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / str(request.param)
    MAKERS[str(request.param)](path)
    return path


def test_what_is_written_now_equals_its_checksum(made: Path) -> None:
    (finding,) = inspect_path(made)
    assert finding.whole, finding.damage
    assert finding.contents.compared
    assert finding.contents.facts
    assert finding.lines()[-1] == "  whole (equals its checksum)"


def test_a_shorter_file_is_damaged(made: Path) -> None:
    files = [made] if made.is_file() else sorted(made.iterdir())
    for file in files:
        data = file.read_bytes()
        file.write_bytes(data[: len(data) // 2])
        (finding,) = inspect_path(made)
        assert not finding.whole, file
        assert len(finding.damage.splitlines()) == 1
        assert "; " in finding.damage
        file.write_bytes(data)
    assert inspect_path(made)[0].whole


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE images SET feature = zeroblob(16)",
        "UPDATE images SET picture = x'00'",
        "UPDATE images SET facts = replace(facts, '99', '98')",
        "UPDATE images SET failure = 'x'",
        "UPDATE names SET label = 'other'",
        "UPDATE verdicts SET verdict = '[]'",
    ],
)
def test_a_changed_row_of_a_library_is_damaged(tmp_path: Path, change: str) -> None:
    library(tmp_path / "l.sqlite")
    with closing(sqlite3.connect(tmp_path / "l.sqlite")) as database, database:
        database.execute(change)
    (finding,) = inspect_path(tmp_path)
    assert "the checksum of a row differs" in finding.damage


def test_a_finding_for_people_and_for_programs() -> None:
    damaged = Finding(Path("a"), "model", damage="a: damaged (x); copy it")
    assert damaged.lines() == ["a: model", "  DAMAGED a: damaged (x); copy it"]
    whole = Finding(Path("a"), "model", Contents("f-1", {"size": 3}, compared=False, advice="do"))
    assert whole.lines() == [
        "a: model, f-1: size 3",
        "  whole (readable, without a checksum)",
        "  do",
    ]
    assert whole.to_json() == {
        "path": "a",
        "kind": "model",
        "whole": True,
        "damage": "",
        "version": "f-1",
        "facts": {"size": 3},
        "compared": False,
        "advice": "do",
    }


def test_links_out_of_a_folder_are_not_followed(tmp_path: Path) -> None:
    store(tmp_path / "outside")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(UsageError, match="no file that asl writes"):
        inspect_path(tmp_path / "in")


def test_tables_that_asl_writes_are_recognised(tmp_path: Path) -> None:
    from dataclasses import fields

    from asl.app.leaks.leak_tables import LeakRow
    from asl.app.scanning.tables import Row
    from asl.report.curve_file import COLUMNS, CURVE_FILE

    headers = {
        CURVE_FILE: COLUMNS,
        "leaks.csv": [field.name for field in fields(LeakRow)],
        "copies.csv": [field.name for field in fields(Row)],
        "drop.csv": ("split", "path"),
        "unreadable.csv": ("path", "reason"),
    }
    for name, columns in headers.items():
        (tmp_path / name).write_text(",".join(columns) + "\n")
    kinds = {finding.path.name: finding.kind for finding in inspect_path(tmp_path)}
    assert kinds == {
        CURVE_FILE: "precision over recall",
        "leaks.csv": "table of leaks",
        "copies.csv": "table of copies",
        "drop.csv": "files to drop",
        "unreadable.csv": "unreadable files",
    }
