"""FAISS on the CPU gives numpy's lists, and changes no setting of the process."""

from __future__ import annotations

import os

import numpy as np
import pytest

from asl.index.engines import faiss_flat
from asl.index.engines.faiss_flat import FaissFlat, load_faiss
from asl.index.engines.numpy_exact import NumpyExact
from asl.types import AslError


@pytest.mark.parametrize("m", [1, 12, 900])
def test_lists_are_those_of_numpy(m: int) -> None:
    rng = np.random.default_rng(1)
    queries, references = (rng.normal(size=(n, 16)).astype(np.float32) for n in (30, 900))
    for vectors in (queries, references):
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    engine = FaissFlat(gpus=0)
    scores, rows = engine.top(queries, references, m)
    expected, places = NumpyExact().top(queries, references, m)
    assert np.abs(scores - expected).max() <= 2 * engine.rounding
    assert (rows == places).mean() > 0.99
    assert rows.dtype == np.int64
    assert engine.hold(references) is None, "arrays are read in place"


def test_settings_of_faiss_are_as_before() -> None:
    settings = load_faiss().cvar
    names = ("distance_compute_blas_threshold", "distance_compute_blas_database_bs")
    before = [getattr(settings, name) for name in names]
    FaissFlat(gpus=0).top(np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32), 2)
    assert [getattr(settings, name) for name in names] == before


def test_more_gpus_than_there_are_is_refused() -> None:
    visible = load_faiss().get_num_gpus()
    with pytest.raises(AslError, match=rf"gpus: FAISS sees {visible} GPUs?, got {visible + 1}"):
        FaissFlat(gpus=visible + 1)


@pytest.mark.parametrize(
    ("vendor", "given", "expected"),
    [
        ("GenuineIntel", None, "SkylakeX"),
        ("GenuineIntel", "Haswell", "Haswell"),
        ("AuthenticAMD", None, None),
    ],
)
def test_new_intel_processors_get_avx512_kernels_while_faiss_is_loaded(  # type: ignore[no-untyped-def]
    monkeypatch, vendor: str, given: str | None, expected: str | None
) -> None:
    flags = {vendor, "avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl", "amx_tile"}
    monkeypatch.setattr(faiss_flat, "cpu_flags", lambda: flags)
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    if given:
        monkeypatch.setenv("OPENBLAS_CORETYPE", given)
    with faiss_flat._kernels_of_newer_processors():
        assert os.environ.get("OPENBLAS_CORETYPE") == expected
    assert os.environ.get("OPENBLAS_CORETYPE") == given
