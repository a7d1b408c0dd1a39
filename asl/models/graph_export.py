"""Export the network of an embedder once, as a graph without weights that runs without torch."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch import Tensor

from asl.console.terminal_text import terminal_text
from asl.models.embedder import Embedder
from asl.models.io import restore
from asl.models.network_graph import INPUT, OUTPUT, Graph, Network, graph_key, keep_graph
from asl.models.saved_model import SavedModel, network_weights
from asl.types import AslError
from asl.version import __version__

# Largest difference of a feature, as a share of the largest component, at which two float32
# programs are the same model: norms and cosines then agree in the third digit.
TOLERANCE = 1e-3
_NOISY = ("onnxscript", "onnx_ir", "torch.onnx")  # loggers that tell every step


def export_once(model: SavedModel) -> Graph:
    """Export the network of a saved model and keep the result, also that it cannot be exported.

    Raises:
        AslError: the weights of the model do not fit its recipe.
    """
    print(
        terminal_text(
            f"asl: {model.path}: its network is prepared for this CPU, once (some 20 seconds)"
        ),
        file=sys.stderr,
        flush=True,
    )
    embedder = restore(model)
    try:
        graph = export_graph(embedder)
    except AslError as error:
        key = graph_key(model.recipe, model.preprocessing)
        graph = Graph(key, b"", reason=str(error), made_by=made_by())
        print(terminal_text(f"asl: {error}; it is run by PyTorch"), file=sys.stderr, flush=True)
    keep_graph(graph)
    return graph


def made_by() -> str:
    """Return the versions that decide whether a network can be exported."""
    names = ("torch", "onnxscript", "onnxruntime")
    return " ".join([f"asl {__version__}", *(f"{name} {_version(name)}" for name in names)])


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def export_graph(embedder: Embedder) -> Graph:
    """Export a network and compare what ONNX Runtime computes with what torch does.

    Raises:
        AslError: it cannot be exported, or the two differ.
    """
    was_training = embedder.training
    try:
        graph = _without_weights(embedder.eval())
        network = Network(graph, network_weights(embedder))
        difference = compare(embedder, lambda images: torch.from_numpy(network(_pixels(images))))
    except AslError:
        raise
    except Exception as error:  # torch and onnxscript raise whatever they meet
        reason = " ".join(str(error).split())[:160]
        raise AslError(f"its network cannot be exported ({reason})") from error
    finally:
        embedder.train(was_training)
    if not difference <= TOLERANCE:
        raise AslError(
            f"its network cannot be exported: features differ by {difference:.1e} of their largest "
            f"component, more than {TOLERANCE:g}"
        )
    return graph


def _pixels(images: Tensor) -> Any:
    return images.permute(0, 2, 3, 1).numpy()


def _without_weights(embedder: Embedder) -> Graph:
    """Export, with the weights as inputs while the graph is simplified, so that none is folded."""
    import onnx
    import onnx_ir
    from onnxscript import optimizer

    weights = embedder.state_dict()
    program = to_onnx(embedder, optimize=False)
    graph = program.model.graph
    taken = {
        name: graph.initializers.pop(name) for name in [*graph.initializers] if name in weights
    }
    for value in taken.values():
        value.const_value = None
        graph.inputs.append(value)
    with _quiet():
        optimizer.optimize(program.model)
    for value in taken.values():
        graph.inputs.remove(value)
    used = [name for name, value in taken.items() if value.uses()]
    model = onnx_ir.to_proto(program.model)
    for name in used:
        initializer = model.graph.initializer.add(
            name=name,
            dims=weights[name].shape,
            data_type=onnx.TensorProto.FLOAT,
            data_location=onnx.TensorProto.EXTERNAL,
        )
        initializer.external_data.add(key="location", value="weights")
    _strip(model)
    key = graph_key(embedder.recipe, embedder.preprocessing)
    return Graph(key, model.SerializeToString(deterministic=True), tuple(used), made_by=made_by())


def _strip(model: Any) -> None:
    """Delete what names the machine or the source and changes no result."""
    graph = model.graph
    parts = (graph.node, graph.input, graph.output, graph.initializer)
    for part in (model, graph, *(entry for entries in parts for entry in entries)):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    del graph.value_info[:]


def to_onnx(embedder: Embedder, *, optimize: bool = True) -> Any:
    """Export to ONNX for any batch size: ``images`` uint8 -> ``features`` float32."""
    with _quiet():
        return torch.onnx.export(
            trace(embedder),
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamo=True,
            verbose=False,
            optimize=optimize,
        )


@contextmanager
def _quiet() -> Iterator[None]:
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def trace(embedder: Embedder) -> torch.export.ExportedProgram:
    """Trace an embedder for any batch size, and for any size of image where it does not squash."""
    dynamic = {0: torch.export.Dim("batch", min=1, max=4096)}
    if embedder.preprocessing.resize == "short":
        dynamic |= dict.fromkeys((2, 3), torch.export.Dim.DYNAMIC)
    return torch.export.export(
        embedder, (sample_images(embedder, 2),), dynamic_shapes={"images": dynamic}
    )


def compare(embedder: Embedder, again: Callable[[Tensor], Tensor]) -> float:
    """Return the largest difference on three images, as a share of the largest component."""
    images = sample_images(embedder, 3, tall=True)  # where it may be, another size than was traced
    with torch.inference_mode():
        expected = embedder(images)
        return float((again(images) - expected).abs().max() / expected.abs().max())


def sample_images(embedder: Embedder, count: int, *, tall: bool = False) -> Tensor:
    """Draw images uint8 ``[count, 3, H, W]`` of a size that the network takes.

    Args:
        embedder: the network.
        count: number of images.
        tall: higher than wide, where the network takes any size; else wider than high.
    """
    size = embedder.preprocessing.size
    shape = (size, size)
    if embedder.preprocessing.resize == "short":
        shape = (size + size // 2, size) if tall else (size, size + size // 4)
    # Coarse squares: pure noise drives some networks into saturation, where nothing differs.
    coarse = torch.randint(
        0, 256, (count, 3, 8, 8), generator=torch.Generator().manual_seed(0)
    ).float()
    return torch.nn.functional.interpolate(coarse, size=shape, mode="bilinear").to(torch.uint8)
