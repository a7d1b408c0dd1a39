"""Embed pictures by ONNX Runtime on the cores of a CPU, without torch."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

import numpy as np

from asl.data.images import Pixels
from asl.models import SavedModel
from asl.models.network_graph import Graph, Network
from asl.models.saved_model import misfit
from asl.parallel import usable_cores
from asl.types import F32


class OnnxRunner:
    """Run a saved model; each core embeds a picture of its own.

    Attributes: see :class:`asl.features.runner.Runner`.
    """

    def __init__(self, model: SavedModel, graph: Graph) -> None:
        """Open the network with its weights.

        Raises:
            AslError: the weights do not fit the graph of their recipe.
        """
        try:
            self._network = Network(graph, model.weights)
        except ValueError as error:
            raise misfit(model.path, error) from error
        self.preprocessing = model.preprocessing
        self.dim = self._network.dim
        self.hash = model.hash
        self.name = f"onnxruntime {version('onnxruntime')} cpu"
        self._threads = ThreadPoolExecutor(core_limit(), thread_name_prefix="embed")

    def decoders(self) -> int:
        """Return 0: the network needs the cores itself."""
        return 0

    def embed(self, images: list[Pixels]) -> F32:
        """Embed uint8 ``[H, W, 3]`` images of any sizes; several threads may call it.

        Returns:
            float32 ``[B, D]`` features, not normalised; the same to the bit in any batch.
        """
        features = np.empty((len(images), self.dim), dtype=np.float32)
        run = self._threads.map if len(images) > 1 else map
        for row, feature in enumerate(run(self._embed_one, images)):
            features[row] = feature
        return features

    def _embed_one(self, image: Pixels) -> F32:
        feature: F32 = self._network(image[None])[0]
        return feature


def core_limit() -> int:
    """Return the number of cores to compute on: the usable ones, at most ``OMP_NUM_THREADS``."""
    limit = os.environ.get("OMP_NUM_THREADS", "")
    cores = usable_cores()
    return min(cores, int(limit)) if limit.isdigit() and int(limit) else cores
