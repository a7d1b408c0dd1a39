"""Run a model on pictures: by ONNX Runtime on a CPU, by torch on a GPU and for live networks."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from cachetools import LRUCache, cached

from asl.data.images import Pixels
from asl.features.onnx_runner import OnnxRunner
from asl.models import Preprocessing, SavedModel
from asl.models.network_graph import Graph, find_graph, graph_key
from asl.storage import cache_folder
from asl.types import F32

if TYPE_CHECKING:
    from asl.models import Embedder

# Files that the drivers of GPUs make: torch, which takes seconds to load, need not be asked
# without them.
_DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")


class Runner(Protocol):
    """A model that is ready to embed.

    All runners compute in float32 and agree to 1e-3 of a feature's largest component, so their
    features may stand in one store.

    Attributes:
        preprocessing: of the model.
        dim: D.
        hash: of the model.
        name: library, its version and the type of the device.
    """

    preprocessing: Preprocessing
    dim: int
    hash: str
    name: str

    def decoders(self) -> int:
        """Return the number of processes that should decode beside it; 0: threads of this one."""

    def embed(self, images: list[Pixels]) -> F32:
        """Embed uint8 ``[H, W, 3]`` images of any sizes: float32 ``[B, D]``, not normalised."""


def open_runner(model: SavedModel | Embedder, device: str) -> Runner:
    """Choose the runner of a model.

    A saved model runs by ONNX Runtime on a CPU; the network of one that is not the packaged
    architecture is exported first, once for the user's cache. Without a cache, on another device,
    and where the network cannot be exported, torch runs it.

    Args:
        model: saved or live.
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` ...

    Raises:
        UsageError: the device cannot be used here.
        AslError: the weights do not fit the recipe of the model.
    """
    if not isinstance(model, SavedModel):
        from asl.features.torch_runner import TorchRunner

        return TorchRunner(model, device)
    return _run_saved(model, device)


# By the hash and not by the object: a file that is loaded twice runs in one session.
@cached(
    LRUCache(2),
    key=lambda model, device: (model.hash, device),
    lock=Lock(),
)
def _run_saved(model: SavedModel, device: str) -> Runner:
    if is_cpu(device) and (graph := _graph_of(model)):
        return OnnxRunner(model, graph)
    from asl.features.torch_runner import TorchRunner
    from asl.models.io import restore

    return TorchRunner(restore(model), device)


def is_cpu(device: str) -> bool:
    """Report whether a device is the CPU, without loading torch where no GPU has a driver."""
    if device != "auto":
        return device == "cpu"
    if not _may_have_gpu():
        return True
    import torch

    return not torch.cuda.is_available()


def _may_have_gpu() -> bool:
    if sys.platform == "win32":
        return (Path(os.environ.get("SYSTEMROOT", "C:/Windows")) / "System32/nvcuda.dll").exists()
    return sys.platform == "linux" and any(Path(path).exists() for path in _DRIVERS)


def _graph_of(model: SavedModel) -> Graph | None:
    """Find or export the graph of a model; None where it has none."""
    graph = find_graph(graph_key(model.recipe, model.preprocessing))
    if (graph is None or not graph.onnx) and cache_folder() is not None:
        from asl.models.graph_export import export_once, made_by

        if graph is None or graph.made_by != made_by():  # other versions may export more
            graph = export_once(model)
    return graph if graph and graph.onnx else None
