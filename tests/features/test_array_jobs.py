"""Parts of an extraction cover every image once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from asl.features.array_jobs import join_parts, parse_part, part_rows
from asl.features.feature_store import FeatureStore
from asl.model_names import packaged_hashes
from asl.shared_defaults import MODELS
from asl.types import AslError, UsageError


@pytest.mark.parametrize("count", [0, 1, 11, 64, 65])
def test_parts_cover_every_image_once(count: int) -> None:
    for of in (1, 3, 7):
        rows = [part_rows(count, shard_size=4, part=part, of=of) for part in range(1, of + 1)]
        assert np.concatenate([np.array(part, dtype=int) for part in rows]).tolist() == list(
            range(count)
        )
        assert all(part.start % 4 == 0 or not len(part) for part in rows)


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "-1/2", "1/0"])
def test_a_part_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="part: expected I/N"):
        parse_part(text)


def test_parts_of_different_models_are_refused_by_their_names(tmp_path: Path) -> None:
    parts = [
        FeatureStore.create(tmp_path / name, model=packaged_hashes()[name], dim=4, preprocessing={})
        for name in MODELS
    ]
    both = rf"another model than .* \({MODELS[1]}, {MODELS[0]}\); extract all parts"
    with pytest.raises(AslError, match=both):
        join_parts(tmp_path / "joined", parts)
    again = f"{MODELS[0]}: was made with {MODELS[0]}, not with {MODELS[1]}; give model={MODELS[0]}"
    with pytest.raises(AslError, match=again):
        FeatureStore.create(
            tmp_path / MODELS[0], model=packaged_hashes()[MODELS[1]], dim=4, preprocessing={}
        )
