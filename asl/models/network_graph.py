"""Networks as ONNX graphs without weights, run by ONNX Runtime, without torch.

A graph depends on recipe and preprocessing alone, so one serves every model of an architecture:
its weights are given to it when it is opened. Those of the packaged models come with the package;
others are exported once (:mod:`asl.models.graph_export`) and kept in the user's cache. A file is
one line of JSON (format, key, checksum), then the ONNX model; a damaged one counts as missing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from asl.models.recipe import Preprocessing, Recipe, non_default
from asl.models.shipped import PACKAGED
from asl.storage import WriteError, cache_folder, write_bytes
from asl.types import F32, U8

FORMAT = "asl-graph-1"
SUFFIX = ".graph"
INPUT, OUTPUT = "images", "features"
_VERSION = 1  # of what is exported for a recipe; a change makes every graph anew


@dataclass(frozen=True)
class Graph:
    """A graph, or the reason why a network has no graph.

    Attributes:
        key: of its architecture.
        onnx: the ONNX model, whose weights are external; empty where there is no graph.
        weights: names of the weights that it takes.
        reason: why the network cannot be exported; empty where it was.
        made_by: versions of the packages that tried.
    """

    key: str
    onnx: bytes
    weights: tuple[str, ...] = ()
    reason: str = ""
    made_by: str = ""


def graph_key(recipe: Recipe, preprocessing: Preprocessing) -> str:
    """Return the key of an architecture: 16 hex digits, equal for equal plans."""
    pixels = non_default(preprocessing)
    pixels.pop("resampling", None)  # happens before the network
    plans = [_VERSION, non_default(recipe), pixels]
    return hashlib.sha256(json.dumps(plans, sort_keys=True).encode()).hexdigest()[:16]


def find_graph(key: str) -> Graph | None:
    """Find the graph of an architecture in the package or the user's cache."""
    packaged = Path(str(resources.files("asl.models")))
    paths = [
        *(packaged / f"{name}{SUFFIX}" for name in PACKAGED),
        *(folder / f"{key}{SUFFIX}" for folder in _folders()),
    ]
    return next((graph for path in paths if (graph := read_graph(path)) and graph.key == key), None)


def keep_graph(graph: Graph) -> None:
    """Write a graph into the user's cache, where there is one and it can be written."""
    for folder in _folders():
        with suppress(OSError, WriteError):
            folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            folder.mkdir(exist_ok=True, mode=0o700)
            write_graph(graph, folder / f"{graph.key}{SUFFIX}")


def cached_graphs() -> list[Path]:
    """List the graphs in the user's cache."""
    return sorted(path for folder in _folders() for path in folder.glob(f"*{SUFFIX}"))


def _folders() -> list[Path]:
    folder = cache_folder()
    return [] if folder is None else [folder / "graphs"]


def write_graph(graph: Graph, path: Path) -> None:
    """Write a graph with its checksum.

    Raises:
        WriteError: it cannot be written.
    """
    facts = {
        "format": FORMAT,
        "key": graph.key,
        "weights": list(graph.weights),
        "reason": graph.reason,
        "made_by": graph.made_by,
    }
    head = facts | {"sha256": _checksum(facts, graph.onnx)}
    write_bytes(path, json.dumps(head).encode() + b"\n" + graph.onnx)


def read_graph(path: Path) -> Graph | None:
    """Read a graph; None where there is none, or it is damaged."""
    try:
        head, _, onnx = path.read_bytes().partition(b"\n")
        facts = json.loads(head)
        expected = facts.pop("sha256")
        if facts["format"] != FORMAT or _checksum(facts, onnx) != expected:
            return None
        return Graph(facts["key"], onnx, tuple(facts["weights"]), facts["reason"], facts["made_by"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _checksum(facts: Mapping[str, Any], onnx: bytes) -> str:
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    digest.update(onnx)
    return digest.hexdigest()


class Network:
    """A graph with weights; any number of threads may run it at once.

    Each call computes on the thread of its caller. Images spread over threads scale to all cores,
    which the operators of one image do not, and a feature is the same to the bit whatever it is
    computed beside.

    Attributes:
        dim: D.
    """

    def __init__(self, graph: Graph, weights: Mapping[str, npt.NDArray[Any]]) -> None:
        """Open a graph.

        Args:
            graph: of the architecture.
            weights: name -> array; more than the graph takes may be given.

        Raises:
            ValueError: a weight is missing, or does not fit.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors
        missing = [name for name in graph.weights if name not in weights]
        if missing:
            raise ValueError(f"{missing[0]} is missing")
        # Not copied: they have to live as long as the session.
        self._weights = [
            onnxruntime.OrtValue.ortvalue_from_numpy(weights[name]) for name in graph.weights
        ]
        options.add_external_initializers(list(graph.weights), self._weights)
        try:
            self._session = onnxruntime.InferenceSession(
                graph.onnx, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's own classes have no common base
            raise ValueError(" ".join(str(error).split())[:200]) from error
        self.dim = int(self._session.get_outputs()[0].shape[1])

    def __call__(self, images: U8) -> F32:
        """Embed images.

        Args:
            images: uint8 ``[B, H, W, 3]`` RGB.

        Returns:
            float32 ``[B, D]``, un-normalised.
        """
        batch = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
        features: F32 = self._session.run([OUTPUT], {INPUT: batch})[0]
        return features
