"""Networks: timm backbones, pooling, necks, and the embedder that joins them.

Names are imported on use, and only those of networks load torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asl.models.embedder import Embedder
    from asl.models.hub import HubModels
    from asl.models.initial_weights import build_embedder
    from asl.models.io import load_embedder, save_embedder
    from asl.models.opening import open_model
    from asl.models.recipe import Preprocessing
    from asl.models.saved_model import SavedModel, model_hash

_WITHOUT_TORCH = {
    "Preprocessing": "asl.models.recipe",
    "SavedModel": "asl.models.saved_model",
    "model_hash": "asl.models.saved_model",
    "open_model": "asl.models.opening",
}
_NETWORKS = {
    "Embedder": "asl.models.embedder",
    "HubModels": "asl.models.hub",
    "build_embedder": "asl.models.initial_weights",
    "load_embedder": "asl.models.io",
    "save_embedder": "asl.models.io",
}

__all__ = [
    "Embedder",
    "HubModels",
    "Preprocessing",
    "SavedModel",
    "build_embedder",
    "load_embedder",
    "model_hash",
    "open_model",
    "save_embedder",
]


def __getattr__(name: str) -> Any:
    if name in _WITHOUT_TORCH:
        return getattr(import_module(_WITHOUT_TORCH[name]), name)
    if name not in _NETWORKS:
        raise AttributeError(f"module 'asl.models' has no attribute {name!r}")
    import_module("asl.models.hub")  # which gives Embedder its hub
    return getattr(import_module(_NETWORKS[name]), name)
