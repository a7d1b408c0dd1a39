"""Choose an engine by its name."""

from __future__ import annotations

from functools import cache

from asl.index.engines.cpu_bfloat16 import CpuBfloat16, multiplies_bfloat16
from asl.index.engines.faiss_flat import FaissFlat
from asl.index.engines.numpy_exact import NumpyExact
from asl.index.engines.protocol import Engine
from asl.index.engines.tensorcore import TensorCore, cuda_devices
from asl.types import UsageError


def make_engine(name: str) -> Engine:
    """Make an engine from its name.

    Args:
        name: ``exact`` (numpy), ``faiss`` (every GPU, else the CPU), ``tensorcore`` (one GPU;
            without one, FAISS) or ``auto`` (tensorcore where there is exactly one GPU; bfloat16
            products where there is none and the CPU has instructions for them; else FAISS).
            The engine's own ``name`` tells which one runs.

    Raises:
        UsageError: there is no engine of this name.

    >>> make_engine("exact").name
    'exact (numpy)'
    """
    if name == "exact":
        return NumpyExact()
    if name in ("auto", "faiss", "tensorcore"):
        engine = FaissFlat()
        # A GPU that FAISS sees may be out of reach for torch: they can need different drivers.
        if name == "tensorcore" or (name == "auto" and engine.gpus == 1):
            devices = cuda_devices()
            if devices == 1 or (devices and name == "tensorcore"):
                return TensorCore()
        if name == "auto" and not engine.gpus and multiplies_bfloat16():
            return CpuBfloat16()
        return engine
    raise UsageError(
        f"engine: must be auto, exact, faiss or tensorcore, got {name!r}; choose one of these"
    )


@cache
def shared_engine(name: str) -> Engine:
    """Return the process's engine of a name: references that it holds serve every search.

    >>> shared_engine("exact") is shared_engine("exact")
    True
    """
    return make_engine(name)
