from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np

from asl.app.library.facts import Facts
from asl.app.library.image_store import ImageStore
from asl.app.library.local_feature_store import extract_missing
from asl.app.library.records import Name, Record
from asl.app.pairs import pair_glances as glances_module
from asl.app.pairs.pair_glances import pair_glances
from asl.matching.align.prepare import prepare
from asl.matching.evidence.glance import GlancedPicture, glance
from asl.matching.values import Settings
from tests.app.conftest import crop, encode, textured


def test_looks_in_processes_are_those_of_the_pictures(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    photos = [textured(seed, 180, 240) for seed in range(3)]
    pictures = [*photos, crop(photos[0]), np.full((180, 240, 3), 90, np.uint8)]
    digests = [f"d{number}" for number in range(len(pictures))]
    store = ImageStore(tmp_path / "store.sqlite", model="m", dim=2)
    store.put(
        [
            Record(digest, Facts(240, 180, 1), np.ones(2, np.float32), encode(picture, "PNG"))
            for digest, picture in zip(digests, pictures, strict=True)
        ],
        [Name(digest, digest) for digest in digests],
    )
    assert store.path
    extract_missing(store, store.path, digests, workers=1, progress=lambda *_: None)
    monkeypatch.setattr(glances_module, "_PAIRS_PER_BLOCK", 4)
    pairs = list(combinations(digests, 2))
    one = list(pair_glances(pairs, store=store.path, workers=1))
    assert one == list(pair_glances(pairs, store=store.path, workers=2))
    for (first, second), seen in zip(pairs, one, strict=True):
        if "d4" in (first, second):
            assert seen is None, "a blank picture has no features"
            continue
        looked = [
            GlancedPicture(prepare(pictures[int(digest[1:])], Settings()))
            for digest in (first, second)
        ]
        assert seen == glance(*looked, Settings())
    assert list(pair_glances([("d0", "gone")], store=store.path, workers=1)) == [None]
