"""Features that a scan has detected are those that its comparison would detect again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from asl.app.library.facts import Facts
from asl.app.library.image_store import ImageStore
from asl.app.library.local_feature_store import extract_missing
from asl.app.library.records import Name, Record
from asl.app.library.sift_file import (
    FEATURE_BYTES,
    SiftFile,
    pack_sift,
    unpack_sift,
)
from asl.app.pairs import pair_verifier
from asl.app.pairs.pair_verifier import PairVerifier, verify_all
from asl.data.images import decode_image
from asl.matching import Verifier
from asl.matching.align.prepare import prepare
from asl.matching.align.sift import detect_sift
from asl.matching.values import Settings
from asl.storage import ReadError
from tests.app.conftest import crop, encode, textured

BLANK = np.full((60, 80, 3), 200, np.uint8)


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    """Two pictures, a crop of one, a blank one, and one whose thumbnail is no picture."""
    pictures = {
        "a": encode(textured(0, 240, 320)),
        "b": encode(textured(1, 240, 320)),
        "cut": encode(crop(textured(0, 240, 320))),
        "blank": encode(BLANK),
        "broken": b"no picture",
    }
    store = ImageStore(tmp_path / "store.sqlite", model="m", dim=2)
    records = [
        Record(digest, Facts(320, 240, 1), np.ones(2, np.float32), picture)
        for digest, picture in pictures.items()
    ]
    store.put(records, [Name(record.digest, record.digest) for record in records])
    return store


def extract(store: ImageStore, workers: int = 1) -> SiftFile:
    assert store.path
    digests = ["a", "b", "cut", "blank", "broken"]
    extract_missing(store, store.path, digests, workers=workers, progress=lambda *_: None)
    return SiftFile(store.path)


@pytest.mark.parametrize("workers", [1, 2])
def test_stored_features_are_the_detected_ones(store: ImageStore, workers: int) -> None:
    file = extract(store, workers)
    for digest in ("a", "b", "cut", "blank"):
        ready = prepare(decode_image(store.thumbnail(digest)), Settings())
        stored = file(digest, Settings())
        assert stored is not None
        for name in ("points", "scales", "angles", "descriptors"):
            ours, detected = getattr(stored, name), getattr(ready, name)
            assert ours.dtype == detected.dtype
            assert np.array_equal(ours, detected), (digest, name)
    assert file("a", Settings(features=100)) is None, "those of other settings are others"
    assert file("nobody", Settings()) is None
    file.close()


def test_pairs_are_compared_by_stored_features_with_the_same_verdicts(
    store: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [("a", "b"), ("a", "cut"), ("b", "cut"), ("a", "blank"), ("a", "broken")]
    oracle = PairVerifier(store.thumbnail)
    expected = [oracle.verify(*pair) for pair in pairs[:-1]]
    assert expected[1].probability > 0.5 > expected[0].probability
    extract(store).close()

    def never(*_: object) -> None:
        raise AssertionError("detected again")

    monkeypatch.setattr(Verifier, "prepare", never)
    assert store.path
    compared = dict(verify_all(pairs, store=store.path, workers=1))
    assert [compared[pair] for pair in pairs[:-1]] == expected
    assert str(compared["a", "broken"]).startswith("could not be compared: ")


def test_other_settings_detect_their_own_features(store: ImageStore) -> None:
    few = Verifier(settings=replace(Settings(), features=100))
    file = extract(store)
    verifier = pair_verifier.PairVerifier(store.thumbnail, sift=file, verifier=few)
    assert len(verifier.prepared("a").points) <= 100
    file.close()


def test_packed_features_take_144_bytes_each_and_come_back() -> None:
    features = detect_sift(textured(3, 200, 300), 200)
    blob = pack_sift(features)
    assert len(blob) == FEATURE_BYTES * len(features.points) == 144 * len(features.points)
    unpacked = unpack_sift(blob)
    for name in ("points", "scales", "angles", "descriptors"):
        assert np.array_equal(getattr(unpacked, name), getattr(features, name))
    assert [len(part) for part in unpack_sift(b"")] == [0, 0, 0, 0]


def test_damaged_features_are_refused(store: ImageStore) -> None:
    file = extract(store)
    with store._write() as db:
        db.execute("UPDATE parts SET features = ? WHERE digest = 'a'", (b"x" * 288,))
    with pytest.raises(ReadError, match="damaged"):
        file("a", Settings())
    file.close()


def test_features_of_an_earlier_store_vote_and_are_not_extracted_again(store: ImageStore) -> None:
    found = prepare(decode_image(store.thumbnail("a")), Settings())
    frames = np.concatenate([found.scales, found.angles]).tobytes()
    store.put_local_features("local-320-500", [("a", frames + found.descriptors.tobytes())])
    file = extract(store)
    assert file("a", Settings()) is None, "without positions it is detected for a comparison"
    voting = file.voting("a", Settings())
    assert np.array_equal(voting.descriptors, found.descriptors)
    assert np.array_equal(voting.angles, found.angles)
    assert np.array_equal(voting.scales, found.scales)
    file.close()
