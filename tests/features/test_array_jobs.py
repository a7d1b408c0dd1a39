"""Parts of an extraction cover every image once."""

from __future__ import annotations

import numpy as np
import pytest

from asl.features.array_jobs import parse_part, part_rows
from asl.types import UsageError


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
