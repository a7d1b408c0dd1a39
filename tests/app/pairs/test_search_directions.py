"""Directions of a verified search where the files can no longer be read."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from asl.app.pairs.pair_verdict import PairVerdict
from asl.app.pairs.search_directions import SearchDirections
from asl.data.catalog import open_catalog
from asl.types import ScoredPairs


def test_two_files_that_went_away_are_not_taken_for_one(tmp_path: Path) -> None:
    """One that is a copy in one direction only keeps the direction that its pixels have."""
    catalogs = []
    for role in ("queries", "references"):
        file = tmp_path / role / "0.png"
        file.parent.mkdir()
        cv2.imwrite(str(file), np.zeros((40, 40, 3), np.uint8))
        catalogs.append(open_catalog(file.parent))
        file.unlink()
    ids, row = np.array(["0.png"]), np.zeros(1, np.int64)
    pairs = ScoredPairs(ids, ids, row, row, np.ones(1, np.float32))
    none = np.zeros(1, np.float32)

    def name(forward: float, backward: float) -> str:
        verdict = PairVerdict(forward, backward)
        found = SearchDirections().name(
            {0: verdict}, pairs, (catalogs[0], catalogs[1]), (none, none)
        )
        return found[0]

    assert name(0.99, 0.01) == "reference->query"
    assert name(0.01, 0.99) == "query->reference"
