"""Files of an index: which are its own, and which generation is the newest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from asl.index.index_files import (
    check_own_folder,
    delete_other_generations,
    generation_file,
    last_generation,
    write_vectors,
)
from asl.types import Embeddings, UsageError


def test_only_files_of_a_generation_are_its_own(tmp_path: Path) -> None:
    for name in ("00000002.ids.npy", "00000007.HNSW8.faiss", ".hidden"):
        (tmp_path / name).touch()
    check_own_folder(tmp_path)
    assert last_generation(tmp_path) == 7
    (tmp_path / "mine.npy").touch()
    with pytest.raises(UsageError, match=r"holds other files \(mine\.npy\)"):
        check_own_folder(tmp_path)
    delete_other_generations(tmp_path, 2)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        ".hidden",
        "00000002.ids.npy",
        "mine.npy",
    ]
    check_own_folder(tmp_path / "not there")


@pytest.mark.parametrize("block", [1, 4, 1000])
def test_vectors_of_several_parts_are_written_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr("asl.index.index_files._BLOCK_ROWS", block)
    rng = np.random.default_rng(0)
    parts = [
        Embeddings.from_features([f"{part}{n}" for n in range(count)], rng.normal(size=(count, 3)))
        for part, count in (("a", 5), ("b", 1), ("c", 7))
    ]
    order = rng.permutation(13)
    file = generation_file(tmp_path, 1, "vectors.npy")
    write_vectors(file, parts, order, dim=3)
    together = np.vstack([part.vectors for part in parts])
    assert np.array_equal(np.load(file), together[order])
