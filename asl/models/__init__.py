"""Networks: timm backbones, pooling, necks, and the embedder that joins them."""

from asl.models.embedder import Embedder, Preprocessing
from asl.models.hub import HubModels
from asl.models.initial_weights import build_embedder
from asl.models.io import load_embedder, model_hash, save_embedder

__all__ = [
    "Embedder",
    "HubModels",
    "Preprocessing",
    "build_embedder",
    "load_embedder",
    "model_hash",
    "save_embedder",
]
