"""Image copy detection: train, search and score, in the right direction (query -> reference)."""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from asl.version import __version__

if TYPE_CHECKING:
    from asl.app.comparison import compare
    from asl.app.detector import CopyDetector
    from asl.app.matches import Match
    from asl.app.scanning.find_copies import find_copies

# albumentations asks the network for its newest version at import unless told not to.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
# ONNX Runtime reports its use to its makers unless told not to before it is loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# Threads that wait for work otherwise spin; two busy processes on two cores then run several times
# slower. Read when the OpenMP library is loaded, so it has to stand before torch and numpy are.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


__all__ = ["CopyDetector", "Match", "__version__", "compare", "find_copies"]

# Loaded on use: these load torch, `import asl` alone does not.
_HOMES = {
    "CopyDetector": "asl.app.detector",
    "Match": "asl.app.matches",
    "compare": "asl.app.comparison",
    "find_copies": "asl.app.scanning.find_copies",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'asl' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """List the names that are loaded on use, too: editors and notebooks complete them."""
    return sorted({*globals(), *_HOMES})
