"""Image copy detection: train, search and score, in the right direction (query -> reference)."""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asl.app.detector import CopyDetector

# albumentations asks the network for its newest version at import unless told not to.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
# Threads that wait for work otherwise spin; two busy processes on two cores then run several times
# slower. Read when the OpenMP library is loaded, so it has to stand before torch and numpy are.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

__version__ = "0.1.0"
__all__ = ["CopyDetector", "__version__"]


def __getattr__(name: str) -> Any:
    # Loads torch; `import asl` alone does not.
    if name == "CopyDetector":
        from asl.app.detector import CopyDetector

        return CopyDetector
    raise AttributeError(f"module 'asl' has no attribute {name!r}")
