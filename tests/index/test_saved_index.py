"""The index on disk: what it holds after any changes, and after any kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from asl.features.feature_store import FeatureStore
from asl.index.exact.exact_search import search
from asl.index.saved_index import SavedIndex
from asl.scoring.score import MODES, Score
from asl.storage import exclusive_lock
from asl.types import AslError, Embeddings, UsageError


def some(count: int, prefix: str, seed: int) -> Embeddings:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, 6)) * np.exp(rng.integers(0, 4, size=(count, 1)))
    return Embeddings.from_features([f"{prefix} ä{n}.jpg" for n in range(count)], features)


A, B, QUERIES = some(300, "a", 1), some(200, "b", 2), some(40, "q", 3)


def contents(folder: Path) -> dict[str, bytes]:
    """Files without the number of their generation."""
    return {path.name.split(".", 1)[1]: path.read_bytes() for path in folder.glob("*.npy")}


@pytest.mark.parametrize("mode", MODES)
def test_a_search_of_the_index_is_that_of_the_embeddings(tmp_path: Path, mode: str) -> None:
    references = SavedIndex.create(tmp_path / "i", A, model="m").references()
    assert isinstance(references.vectors.base, np.memmap)
    assert np.all(np.diff(references.log_norms) <= 0)
    score = Score(mode, lam=0.1)  # type: ignore[arg-type]
    found = search(QUERIES.as_queries(), references, score=score, k=9)
    expected = search(QUERIES.as_queries(), A.as_references(), score=score, k=9)
    assert found.reference_ids.tolist() == expected.reference_ids.tolist()
    assert found.scores.tolist() == expected.scores.tolist()


def test_pieces_of_a_store_make_the_same_index_as_the_whole(tmp_path: Path) -> None:
    store = FeatureStore.create(tmp_path / "s", model="m", dim=6, preprocessing={})
    rng = np.random.default_rng(4)
    features = (rng.normal(size=(500, 6)) * 7).astype(np.float32)
    names = [f"{n}.jpg" for n in rng.permutation(500)]
    for low, high in ((0, 3), (3, 250), (250, 500)):
        store.add(names[low:high], features[low:high], [])
    store.add(names[100:120], features[:20], [], replaces=True)
    store.forget(names[7:9])
    whole = SavedIndex.create(tmp_path / "whole", store.embeddings(), model="m")
    pieces = SavedIndex.create(tmp_path / "pieces", store.pieces(), model="m")
    assert len(pieces) == 498
    assert contents(pieces.path) == contents(whole.path)
    with pytest.raises(AslError, match="duplicate id"):
        SavedIndex.create(tmp_path / "twice", [A, B, A])
    with pytest.raises(AslError, match="at least one reference"):
        SavedIndex.create(tmp_path / "none", [])
    assert not (tmp_path / "none").exists()


def test_however_it_was_built_it_is_the_same(tmp_path: Path) -> None:
    both = Embeddings(
        np.concatenate([A.ids, B.ids]),
        np.vstack([A.vectors, B.vectors]),
        np.concatenate([A.log_norms, B.log_norms]),
    )
    whole = SavedIndex.create(tmp_path / "whole", both, model="m")
    added = SavedIndex.create(tmp_path / "added", B, model="m").add(A)
    merged = SavedIndex.create(tmp_path / "merged", A, model="m").merge(
        SavedIndex.create(tmp_path / "b", B, model="m")
    )
    removed = SavedIndex.create(tmp_path / "removed", both, model="m").remove(A.ids).add(A)
    for index in (added, merged, removed):
        assert contents(index.path) == contents(whole.path)
        assert len(SavedIndex.open(index.path)) == 500
        assert len(list(index.path.iterdir())) == 4, "no left-overs"


def test_no_file_of_somebody_else_is_deleted(tmp_path: Path) -> None:
    np.save(tmp_path / "shard-00000.npy", np.zeros(3))
    with pytest.raises(UsageError, match=r"holds other files \(shard-00000.npy\)"):
        SavedIndex.create(tmp_path, A, model="m")
    index = SavedIndex.create(tmp_path / "i", A, model="m")
    np.save(tmp_path / "i" / "mine.npy", np.zeros(3))
    assert len(index.add(B)) == 500
    names = sorted(path.name for path in (tmp_path / "i").iterdir())
    assert names == [f"00000002.{what}.npy" for what in ("ids", "log_norms", "vectors")] + [
        "index.json",
        "mine.npy",
    ]


def test_a_reader_of_the_old_generation_is_not_disturbed(tmp_path: Path) -> None:
    index = SavedIndex.create(tmp_path / "i", A)
    before = index.references()
    copy = np.array(before.vectors)
    index.remove(A.ids[:299])
    assert np.array_equal(before.vectors, copy)


def test_wrong_use_is_refused_with_words(tmp_path: Path) -> None:
    index = SavedIndex.create(tmp_path / "i", A, model="m")
    with pytest.raises(AslError, match=r"1 id is there already, e\.g\. 'a ä7\.jpg'"):
        index.add(A.take([7]))
    with pytest.raises(AslError, match=r"1 id is not in this index, e\.g\. 'nobody'"):
        index.remove(["nobody"])
    with pytest.raises(AslError, match="at least one"):
        index.remove(A.ids)
    with pytest.raises(AslError, match="6 dimensions, got 2"):
        index.add(Embeddings.from_features(["x"], [[1.0, 2.0]]))
    with pytest.raises(AslError, match="different models"):
        index.merge(SavedIndex.create(tmp_path / "j", B, model="other"))
    with pytest.raises(AslError, match="not an index"):
        SavedIndex.open(tmp_path)
    (tmp_path / "i" / "00000001.vectors.npy").write_bytes(b"no array")
    with pytest.raises(AslError, match=r"vectors\.npy: damaged"):
        SavedIndex.open(tmp_path / "i").references()


def damage(path: Path) -> None:
    """Flip one bit near the end of a file."""
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("part", ["ids", "log_norms", "vectors"])
def test_a_flipped_bit_is_one_line_with_file_and_cure(
    tmp_path: Path, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    SavedIndex.create(tmp_path / "i", A).add(B)
    SavedIndex.open(tmp_path / "i", check_files=True)
    damage(tmp_path / "i" / f"00000002.{part}.npy")
    monkeypatch.setattr("asl.index.saved_index._CHECKED_BYTES", 100)
    message = rf"00000002\.{part}\.npy: damaged \(its checksum differs\); build the index again"
    with pytest.raises(AslError, match=message):
        SavedIndex.open(tmp_path / "i", check_files=True)
    if part != "vectors":
        with pytest.raises(AslError, match=message):
            SavedIndex.open(tmp_path / "i").references()


def test_no_flipped_byte_is_accepted(tmp_path: Path) -> None:
    """Any byte of any file, also of ``index.json``: an error in one line, or the same content."""
    index = SavedIndex.create(tmp_path / "i", A.take(np.arange(20)), model="m")
    expected = index.references()
    rng = np.random.default_rng(0)
    files = sorted(index.path.iterdir())
    for turn in range(200):
        file = files[turn % 4]
        content = file.read_bytes()
        changed = bytearray(content)
        changed[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
        file.write_bytes(changed)
        said = ""
        try:
            opened = SavedIndex.open(index.path)
            references = opened.references()
        except AslError as error:
            said = str(error)
        if said:
            assert said.startswith(str(index.path))
            assert "\n" not in said
        else:
            assert opened.manifest == index.manifest
            assert np.array_equal(references.vectors, expected.vectors)
            assert references.ids.tolist() == expected.ids.tolist()
        file.write_bytes(content)


def test_an_index_without_checksums_opens(tmp_path: Path) -> None:
    """Indexes of version 0.1.0 have none; a change adds them."""
    index = SavedIndex.create(tmp_path / "i", A)
    manifest = json.loads((index.path / "index.json").read_text())
    del manifest["checksums"], manifest["sha256"]
    (index.path / "index.json").write_text(json.dumps(manifest))
    assert len(SavedIndex.open(index.path, check_files=True).references()) == 300
    assert set(SavedIndex.open(index.path).add(B).manifest["checksums"]) == {
        "vectors",
        "log_norms",
        "ids",
    }


def test_a_damaged_index_is_replaced(tmp_path: Path) -> None:
    SavedIndex.create(tmp_path / "i", A).add(B)
    (tmp_path / "i" / "index.json").write_text("{")
    with pytest.raises(AslError, match=r"index\.json: damaged .*; build the index again"):
        SavedIndex.open(tmp_path / "i")
    assert len(SavedIndex.create(tmp_path / "i", B).references()) == 200
    assert len(list((tmp_path / "i").iterdir())) == 4


def test_writers_never_mix_and_nothing_that_succeeded_is_lost(tmp_path: Path) -> None:
    """Every writer opened the index before any other wrote, as two commands at once do."""
    stale = SavedIndex.create(tmp_path / "i", A)
    batches = [some(50, f"w{number}", 10 + number) for number in range(6)]
    done: list[int] = []
    refused: list[str] = []

    def write(number: int) -> None:
        try:
            stale.add(batches[number])
            done.append(number)
        except AslError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) + len(refused) == 6
    assert done
    assert all("another process writes into this index" in text for text in refused)
    references = SavedIndex.open(tmp_path / "i", check_files=True).references()
    assert len(references) == 300 + 50 * len(done)
    row = {name: index for index, name in enumerate(references.ids.tolist())}
    for part in (A, *(batches[number] for number in done)):
        rows = [row[name] for name in part.ids.tolist()]
        assert np.array_equal(references.vectors[rows], part.vectors)
        assert np.array_equal(references.log_norms[rows], part.log_norms)
    assert len(list((tmp_path / "i").iterdir())) == 4


def test_an_index_that_another_process_holds_is_not_written(tmp_path: Path) -> None:
    index = SavedIndex.create(tmp_path / "i", A)
    busy = exclusive_lock((tmp_path / "i").resolve() / ".lock", busy="held")
    with busy, pytest.raises(AslError, match=r"another process writes into this index; wait"):
        index.remove(A.ids[:3])
    assert len(index.remove(A.ids[:3])) == 297


def test_a_reader_that_opened_before_a_change_loads_the_new_state(tmp_path: Path) -> None:
    before = SavedIndex.create(tmp_path / "i", A)
    before.add(B)
    assert len(before.references()) == 500


CHANGE = """
import sys
import numpy as np
from asl.index.saved_index import SavedIndex
from asl.types import Embeddings
index = SavedIndex.open(sys.argv[1])
print("go", flush=True)
for turn in range(10**6):
    features = np.random.default_rng(turn).normal(size=(500, 6))
    more = Embeddings.from_features([f"{turn}-{n}" for n in range(500)], features)
    index = index.add(more).remove(more.ids)
"""


@pytest.mark.slow
def test_killed_at_any_moment_it_is_as_before_or_as_after(tmp_path: Path) -> None:
    SavedIndex.create(tmp_path / "i", A)
    rng = np.random.default_rng(0)
    for _ in range(10):
        process = subprocess.Popen(
            [sys.executable, "-c", CHANGE, str(tmp_path / "i")], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(rng.uniform(0.0, 0.1))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        references = SavedIndex.open(tmp_path / "i").references()
        assert len(references) in (300, 800)
        known = references.take(np.flatnonzero(np.isin(references.ids, A.ids)))
        order = np.argsort(known.ids)
        assert np.array_equal(known.vectors[order], A.vectors[np.argsort(A.ids)])
        index = SavedIndex.open(tmp_path / "i")
        if len(index) > 300:
            index.remove(np.setdiff1d(index.ids, A.ids))
