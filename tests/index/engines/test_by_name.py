"""An engine is one that its library can run, and one engine serves a whole process."""

from __future__ import annotations

import pytest

from asl.index.engines import by_name
from asl.index.engines.by_name import make_engine, shared_engine
from asl.index.engines.tensorcore import TensorCore
from asl.types import AslError, UsageError


def test_without_a_gpu_the_name_says_what_runs_instead() -> None:
    import torch

    if torch.cuda.is_available():
        assert make_engine("tensorcore").name.startswith("tensorcore (cuda")
    else:
        assert make_engine("tensorcore").name == "faiss (CPU)"
        with pytest.raises(AslError, match="no CUDA device"):
            TensorCore()
    with pytest.raises(AslError, match="dtype"):
        TensorCore(device="cpu", dtype="float64")


@pytest.mark.parametrize(
    ("name", "faiss_sees", "torch_sees", "cpu_has_bfloat16", "taken"),
    [
        ("auto", 1, 1, True, "tensorcore"),
        ("auto", 1, 0, True, "faiss"),  # a driver that is too old for torch's CUDA
        ("auto", 4, 4, True, "faiss"),
        ("auto", 0, 0, False, "faiss"),
        ("auto", 0, 0, True, "bfloat16"),
        ("tensorcore", 0, 2, False, "tensorcore"),  # faiss-cpu beside torch with CUDA
        ("tensorcore", 1, 0, False, "faiss"),
        ("faiss", 1, 1, True, "faiss"),
    ],
)
def test_an_engine_is_one_that_its_library_can_run(
    monkeypatch, name, faiss_sees, torch_sees, cpu_has_bfloat16, taken
) -> None:  # type: ignore[no-untyped-def]
    class Seen:
        def __init__(self, kind: str, gpus: int) -> None:
            self.kind, self.gpus = kind, gpus

    monkeypatch.setattr(by_name, "FaissFlat", lambda: Seen("faiss", faiss_sees))
    monkeypatch.setattr(by_name, "TensorCore", lambda: Seen("tensorcore", 1))
    monkeypatch.setattr(by_name, "CpuBfloat16", lambda: Seen("bfloat16", 0))
    monkeypatch.setattr(by_name, "cuda_devices", lambda: torch_sees)
    monkeypatch.setattr(by_name, "multiplies_bfloat16", lambda: cpu_has_bfloat16)
    assert make_engine(name).kind == taken  # type: ignore[attr-defined]


def test_a_process_has_one_engine_of_a_name() -> None:
    assert shared_engine("exact") is shared_engine("exact")
    assert make_engine("exact") is not make_engine("exact")
    with pytest.raises(UsageError, match="engine: must be auto, exact, faiss or tensorcore, got"):
        shared_engine("fais")
