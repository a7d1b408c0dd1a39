"""Extract features in order and resumably, into a store on disk.

Names are imported on use, so that what reads stores only loads no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asl.features.extraction import extract
    from asl.features.feature_store import FeatureStore

_HOMES = {
    "FeatureStore": "asl.features.feature_store",
    "extract": "asl.features.extraction",
}

__all__ = ["FeatureStore", "extract"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'asl.features' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
