"""A checksum at the end of a file that FAISS writes and reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from asl.index.engines.faiss_flat import load_faiss
from asl.index.file_seal import check_seal, seal
from asl.types import AslError


def test_content_that_changed_is_named_and_files_without_a_checksum_pass(tmp_path: Path) -> None:
    file = tmp_path / "a.faiss"
    file.write_bytes(b"")
    check_seal(file, remedy="remove it")
    file.write_bytes(bytes(range(256)) * 9)
    check_seal(file, remedy="remove it")
    seal(file)
    check_seal(file, remedy="remove it")
    sealed = file.read_bytes()
    for place in (0, 700, len(sealed) - 100, len(sealed) - 1):
        changed = bytearray(sealed)
        changed[place] ^= 1
        file.write_bytes(changed)
        with pytest.raises(
            AslError, match=r"a\.faiss: damaged \(its checksum differs\); remove it"
        ):
            check_seal(file, remedy="remove it")


@pytest.mark.parametrize("spec", ["IVF4,Flat", "HNSW8", "Flat"])
def test_faiss_reads_a_sealed_file(tmp_path: Path, spec: str) -> None:
    faiss = load_faiss()
    vectors = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
    index = faiss.index_factory(8, spec, faiss.METRIC_INNER_PRODUCT)
    index.train(vectors)
    index.add(vectors)
    faiss.write_index(index, str(tmp_path / "a.faiss"))
    seal(tmp_path / "a.faiss")
    stored = faiss.read_index(str(tmp_path / "a.faiss"), faiss.IO_FLAG_MMAP)
    assert stored.search(vectors[:5], 3)[1].tolist() == index.search(vectors[:5], 3)[1].tolist()
