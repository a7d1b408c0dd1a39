"""Pair verification: align a candidate pair, compare the aligned pixels, decide with direction.

Names are imported on use, so that a help text that needs one constant loads no OpenCV.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asl.matching.run.verify_pairs import Budget, Verified, verify_pairs
    from asl.matching.values import Evidence, Region, Settings, Verdict
    from asl.matching.verifier import Verifier

_HOMES = {
    "Budget": "asl.matching.run.verify_pairs",
    "Verified": "asl.matching.run.verify_pairs",
    "verify_pairs": "asl.matching.run.verify_pairs",
    "Evidence": "asl.matching.values",
    "Region": "asl.matching.values",
    "Settings": "asl.matching.values",
    "Verdict": "asl.matching.values",
    "Verifier": "asl.matching.verifier",
}

__all__ = [
    "Budget",
    "Evidence",
    "Region",
    "Settings",
    "Verdict",
    "Verified",
    "Verifier",
    "verify_pairs",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'asl.matching' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
