"""Contents vote in several processes as they do in one."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from asl.app.library import local_feature_store, voters
from asl.app.library.facts import Facts
from asl.app.library.image_store import ImageStore
from asl.app.library.local_feature_store import VotedPairs, extract_missing, retrieve_by_votes
from asl.app.library.records import Name, Record
from asl.app.library.sift_file import SiftFile
from asl.app.library.voters import KeptIndex, Voter
from asl.matching.candidates.coded_local_index import CodedLocalIndex, coded_local_index
from asl.matching.candidates.exact_local_index import ExactLocalIndex
from asl.matching.candidates.feature_values import LocalFeatures
from asl.matching.candidates.piece_files import read_pieces
from asl.matching.candidates.quantiser import load_quantiser
from asl.parallel import spawned_map
from asl.types import AslError
from tests.app.conftest import crop, encode, textured

DIGESTS = [f"d{number}" for number in range(12)]
ROWS = np.arange(len(DIGESTS))


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    """Six pictures and a crop of each, with their local features."""
    pictures = [encode(textured(seed, 180, 240)) for seed in range(6)]
    pictures += [encode(crop(textured(seed, 180, 240))) for seed in range(6)]
    store = ImageStore(tmp_path / "store.sqlite", model="m", dim=2)
    feature = np.ones(2, np.float32)
    records = [
        Record(digest, Facts(240, 180, 1), feature, picture)
        for digest, picture in zip(DIGESTS, pictures, strict=True)
    ]
    store.put(records, [Name(record.digest, record.digest) for record in records])
    assert store.path
    extract_missing(store, store.path, DIGESTS, workers=1, progress=lambda *_: None)
    return store


def voted(store: ImageStore, workers: int) -> VotedPairs:
    assert store.path
    for cached in store.path.parent.glob("*-votes.npz"):
        cached.unlink()
    done: list[int] = []
    pairs = retrieve_by_votes(
        store,
        store.path,
        DIGESTS,
        ROWS,
        ROWS,
        k=3,
        workers=workers,
        progress=lambda number, _: done.append(number),
    )
    assert done == list(range(1, len(DIGESTS) + 1))
    return pairs


@pytest.mark.parametrize("exact_references", [4, 2000])
def test_several_processes_vote_as_one(
    store: ImageStore, monkeypatch: pytest.MonkeyPatch, exact_references: int
) -> None:
    monkeypatch.setattr(local_feature_store, "EXACT_REFERENCES", exact_references)
    monkeypatch.setattr(voters, "QUERIES_PER_PROCESS", 4)
    started: list[int] = []

    def counted(*arguments, processes: int, **options):  # type: ignore[no-untyped-def]
        started.append(processes)
        return spawned_map(*arguments, processes=processes, **options)

    monkeypatch.setattr(voters, "spawned_map", counted)
    one, several = voted(store, 1), voted(store, 2)
    for name in ("first", "second", "votes"):
        assert np.array_equal(getattr(one, name), getattr(several, name)), name
    best = {int(first): int(second) for first, second in zip(one.first, one.second, strict=True)}
    assert len(best) == len(DIGESTS)
    assert started == ([2] if exact_references == 4 else []), "FAISS runs its own threads"


def test_an_index_that_was_changed_meanwhile_is_refused(store: ImageStore, tmp_path: Path) -> None:
    features = LocalFeatures(
        np.ones(4, np.float32), np.zeros(4, np.float32), np.full((4, 128), 30, np.uint8)
    )

    def index(keys: list[bytes]) -> CodedLocalIndex:
        return coded_local_index(
            keys, lambda rows: [features for _ in rows], folder=tmp_path / "x.codes"
        )

    keys = [bytes([number]) * 16 for number in range(1, 4)]
    kept = KeptIndex.of(index(keys), tmp_path / "x.codes", keys)
    assert kept is not None
    assert store.path
    voter = Voter(SiftFile(store.path), 3, kept.open(), kept)
    pickle.loads(pickle.dumps(voter)).close()
    index([*keys, b"9" * 16])
    assert len(read_pieces(kept.folder, load_quantiser(), check_files=True)) > 0
    with pytest.raises(AslError, match="another process has changed this index"):
        pickle.loads(pickle.dumps(voter))


def test_an_index_in_memory_stays_in_its_process(store: ImageStore, tmp_path: Path) -> None:
    assert store.path
    features = LocalFeatures(
        np.ones(4, np.float32), np.zeros(4, np.float32), np.full((4, 128), 30, np.uint8)
    )
    keys = [b"1" * 16]
    coded = coded_local_index(keys, lambda rows: [features for _ in rows])
    exact = ExactLocalIndex.build([features])
    assert KeptIndex.of(coded, tmp_path, keys) is None
    assert KeptIndex.of(exact, tmp_path, keys) is None
    with pytest.raises(TypeError):
        pickle.dumps(Voter(SiftFile(store.path), 3, coded, None))
