"""``asl doctor``: all that was ever written is recognised, damage is found, cures are named."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from asl.cli import start
from asl.data.pairs import write_pairs
from asl.storage import atomic_text, recorded
from asl.types import ScoredPairs

FIXTURES = Path(__file__).with_name("formats") / "fixtures"


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Everything that version 0.1.0 wrote."""
    folder = tmp_path / "old"
    shutil.copytree(FIXTURES, folder)
    monkeypatch.chdir(folder)
    return folder


def report(path: str, capsys: pytest.CaptureFixture[str], code: int = 0) -> list[dict[str, object]]:
    assert start("doctor", [path, "--json"]) == code
    return list(json.loads(capsys.readouterr().out)["findings"])


def test_all_that_an_earlier_version_wrote_is_whole(
    old: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    findings = report(".", capsys)
    assert all(finding["whole"] for finding in findings)
    kinds = {str(finding["path"]): finding["kind"] for finding in findings}
    expected = {
        "stores/photos": "feature store",
        "stores/photos/regions/0-0-1-1-24px": "feature store",
        "index": "index",
        "library/library.sqlite": "library or cache",
        "scan/cache-db7994f1.sqlite": "library or cache",
        "scan/cache-db7994f1-votes.npz": "cache of local features",
        "scan/copies.csv": "table of copies",
        "scan/copies.json": "table of copies",
        "scan/copies.parquet": "table",
        "scan/summary.json": "summary of a scan",
        "scan/unreadable.csv": "unreadable files",
        "model/model.safetensors": "model",
        "training/0/checkpoints/last.ckpt": "checkpoint",
        "training/0/metrics.csv": "metrics of a training",
        "training/0/metrics.json": "metrics",
        "isc/submission.h5": "descriptors",
        "isc/queries.h5": "descriptors",
        "pairs/hinge.parquet": "table",
        "pairs/hinge.csv": "pairs",
        "pairs/directed.csv": "hard pairs",
        "edited/truth.csv": "ground truth",
        "edited/edits.csv": "edits",
        "bench/manifest.json": "manifest of a benchmark",
        "milvus/library.db": "collection",
        "verifier/verifier.json": "verifier",
        "search/verified.csv.features/references/local.npz": "cache of local features",
    }
    assert {path: kinds.get(path) for path in expected} == expected
    before = {path: path.read_bytes() for path in FIXTURES.rglob("*") if path.is_file()}
    changed = [
        path
        for path, data in before.items()
        if (old / path.relative_to(FIXTURES)).read_bytes() != data
    ]
    assert not changed, "doctor changes nothing"


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("stores/photos/shard-00001.npy", "stores/photos: shard-00001 is not what was written"),
        ("stores/photos/shard-00001.json", "shard-00001"),
        ("index/00000001.HNSW8.faiss", ""),
        ("library/library.sqlite", "library.sqlite: damaged"),
        ("training/0/checkpoints/last.ckpt", "last.ckpt: damaged"),
        ("scan/cache-db7994f1-votes.npz", "votes.npz: damaged"),
    ],
)
def test_damage_is_found_and_has_a_cure(
    old: Path, path: str, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data = bytearray((old / path).read_bytes())
    middle = len(data) // 2
    data[middle - 40 : middle + 40] = bytes(byte ^ 0xFF for byte in data[middle - 40 : middle + 40])
    (old / path).write_bytes(data)
    if not named:  # of 0.1.0, which sealed no companion
        report(path, capsys)
        return
    (finding,) = [one for one in report(path, capsys, code=1) if not one["whole"]]
    assert named in str(finding["damage"])
    assert "; " in str(finding["damage"]), "what to do"
    assert start("doctor", [path, "--quiet"]) == 1
    printed = capsys.readouterr()
    assert "DAMAGED" in printed.out
    assert printed.out.endswith("1 damaged\n")
    assert not printed.err


def test_a_part_of_a_store_is_its_store(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in ("stores/queries/shard-00000.npy", "stores/queries/manifest.json"):
        (finding,) = report(path, capsys)
        assert (finding["path"], finding["kind"]) == ("stores/queries", "feature store")
    (finding,) = report("index/index.json", capsys)
    assert (finding["path"], finding["kind"]) == ("index", "index")


def test_other_files_are_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "other.json").write_text("{}")
    for path, said in ((tmp_path, "no file that asl writes"), (tmp_path / "no", "there is no")):
        assert start("doctor", [str(path)]) == 2
        printed = capsys.readouterr()
        assert said in printed.err
        assert len(printed.err.splitlines()) == 1
    assert start("doctor", []) == 2


def test_what_a_killed_writer_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".pairs.csv.0a1b2c-99-01234567.part").write_text("query_id,refer")
    (finding,) = report(str(tmp_path), capsys, code=1)
    assert finding["kind"] == "temporary file"
    assert "not complete" in str(finding["damage"])


def test_it_starts_as_a_module(old: Path) -> None:
    words = [sys.executable, "-m", "asl.doctor", "stores/queries"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("stores/queries: feature store, asl-features-1: images 3")


def test_text_is_compared_with_the_list_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = ScoredPairs.from_ids(["q"], ["r"], [0.5])
    write_pairs(pairs, tmp_path / "pairs.csv")
    page = tmp_path / "report.html"
    with recorded(page), atomic_text(page) as file:
        file.write("<p>as written")
    findings = report(str(tmp_path), capsys)
    assert {one["kind"]: one["compared"] for one in findings} == {
        "checksums of text files": False,
        "pairs": True,
        "page": True,
    }
    page.write_text("<p>edited")
    (finding,) = [one for one in report(str(tmp_path), capsys, code=1) if not one["whole"]]
    assert "report.html: edited or damaged since asl wrote it" in str(finding["damage"])


def test_a_library_whose_first_writer_was_stopped_is_empty(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect(tmp_path / "cache.sqlite")) as database:
        database.execute("PRAGMA journal_mode=WAL")
    (finding,) = report(str(tmp_path), capsys)
    assert finding["advice"] == "it is empty: its first writer was stopped"
