"""Networks: timm backbones, pooling, necks, and the embedder that joins them.

Names are imported on use, so that what reads stores only loads no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asl.models.embedder import Embedder, Preprocessing
    from asl.models.hub import HubModels
    from asl.models.initial_weights import build_embedder
    from asl.models.io import load_embedder, model_hash, save_embedder

_HOMES = {
    "Embedder": "asl.models.embedder",
    "HubModels": "asl.models.hub",
    "Preprocessing": "asl.models.embedder",
    "build_embedder": "asl.models.initial_weights",
    "load_embedder": "asl.models.io",
    "model_hash": "asl.models.io",
    "save_embedder": "asl.models.io",
}

__all__ = [
    "Embedder",
    "HubModels",
    "Preprocessing",
    "build_embedder",
    "load_embedder",
    "model_hash",
    "save_embedder",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'asl.models' has no attribute {name!r}")
    import_module("asl.models.hub")  # which gives Embedder its hub
    return getattr(import_module(_HOMES[name]), name)
