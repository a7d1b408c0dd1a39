from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np

from asl.app.library.facts import Facts
from asl.app.library.image_store import ImageStore
from asl.app.library.local_feature_store import extract_missing
from asl.app.library.records import Name, Record
from asl.app.pairs import agreement_counts as counts_module
from asl.app.pairs.agreement_counts import agreement_counts
from asl.matching.align.agreeing_features import agreeing_features
from asl.matching.align.prepare import prepare
from asl.matching.values import Settings
from tests.app.conftest import crop, encode, textured


def test_counts_in_processes_are_those_of_the_pictures(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    photos = [textured(seed, 180, 240) for seed in range(4)]
    pictures = [*photos, crop(photos[0]), np.full((180, 240, 3), 90, np.uint8)]
    digests = [f"d{number}" for number in range(len(pictures))]
    store = ImageStore(tmp_path / "store.sqlite", model="m", dim=2)
    feature = np.ones(2, np.float32)
    store.put(
        [
            Record(digest, Facts(240, 180, 1), feature, encode(picture, "PNG"))
            for digest, picture in zip(digests, pictures, strict=True)
        ],
        [Name(digest, digest) for digest in digests],
    )
    assert store.path
    extract_missing(store, store.path, digests, workers=1, progress=lambda *_: None)
    monkeypatch.setattr(counts_module, "_PAIRS_PER_BLOCK", 5)
    pairs = list(combinations(digests, 2))
    one = list(agreement_counts(pairs, store=store.path, workers=1))
    assert one == list(agreement_counts(pairs, store=store.path, workers=2))
    found = dict(zip(pairs, one, strict=True))
    assert all((count is None) == ("d5" in pair) for pair, count in found.items()), "blank"
    ready = {
        digest: prepare(picture, Settings())
        for digest, picture in zip(digests, pictures, strict=True)
    }
    for (first, second), count in found.items():
        if count is not None:
            assert count == agreeing_features(ready[first], ready[second], Settings())
    assert (found["d0", "d4"] or 0) >= 20
    assert list(agreement_counts([("d0", "gone")], store=store.path, workers=1)) == [None]
