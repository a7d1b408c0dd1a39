"""Write a model as ONNX, torch.export or safetensors, and compare the file with the model."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from asl.console.plain_console import PlainConsole
from asl.console.schemas.export_config import ExportConfig
from asl.models import Embedder, load_embedder, model_hash, save_embedder
from asl.models.graph_export import compare, to_onnx, trace
from asl.storage import atomic_path, make_folder
from asl.types import AslError, UsageError

FACTS = "asl.json"
RESAMPLING = {
    "cubic": "OpenCV, upright RGB: INTER_AREA to fewer pixels, INTER_CUBIC to more",
    "linear": "OpenCV, upright RGB: INTER_AREA halvings of what is over 1.75 times the size, "
    "blur (3, 3) over 1.4 times, INTER_LINEAR; docs/python.md has the code",
}
_SUFFIXES = {"onnx": ".onnx", "torch_export": ".pt2", "safetensors": ".safetensors"}


def export_model(config: ExportConfig) -> int:
    """Export, compare, report; returns the exit code."""
    output = Path(config.output)
    by_suffix = {suffix: name for name, suffix in _SUFFIXES.items()}
    kind = config.format or by_suffix.get(output.suffix, "")
    if not kind:
        raise UsageError(
            f"output: must end in {', '.join(by_suffix)}, got {config.output!r}; or give format="
        )
    if kind not in _SUFFIXES:
        raise UsageError(f"format: expected one of {', '.join(_SUFFIXES)}, got {kind!r}")
    if not 0 <= config.tolerance <= 1:
        raise UsageError(f"tolerance: must be from 0 to 1, got {config.tolerance:g}")
    embedder = load_embedder(config.model).eval()
    facts = describe(embedder)
    make_folder(output.parent, name="output")
    with atomic_path(output) as temporary:
        again = WRITERS[kind](embedder, temporary, facts)
        difference = compare(embedder, again)
        if not difference <= config.tolerance:
            raise AslError(
                f"tolerance: the exported model differs by {difference:.2e} of its largest "
                f"component, more than {config.tolerance:g}; no file was written"
            )
    PlainConsole().say(
        f"{config.model} as {kind}: {output} ({output.stat().st_size / 1e6:.1f} MB, "
        f"differs by {difference:.1e})"
    )
    return 0


def describe(embedder: Embedder) -> dict[str, Any]:
    """Return what a user of the file has to know: hash, input, output, preprocessing."""
    return {
        "model": model_hash(embedder),
        "input": f"uint8 {_shape(embedder)}; normalisation is inside",
        "resampling": RESAMPLING[embedder.preprocessing.resampling],
        "output": f"float32 [B, {embedder.dim}]; direction = what is shown, "
        "length = how much of the original is left",
        "preprocessing": asdict(embedder.preprocessing),
    }


def _shape(embedder: Embedder) -> str:
    if embedder.preprocessing.resize == "short":
        return "[B, 3, H, W] RGB, min(H, W) = preprocessing.size"
    return "[B, 3, S, S] RGB, S = preprocessing.size"


def write_torch_export(
    embedder: Embedder, path: Path, facts: dict[str, Any]
) -> Callable[[Tensor], Tensor]:
    """Write by ``torch.export``, for any batch size; return the program of that file."""
    with path.open("wb") as file:
        torch.export.save(trace(embedder), file, extra_files={FACTS: json.dumps(facts)})
    with path.open("rb") as file:
        loaded: Callable[[Tensor], Tensor] = torch.export.load(file).module()
    return loaded


def write_onnx(embedder: Embedder, path: Path, facts: dict[str, Any]) -> Callable[[Tensor], Tensor]:
    """Write ONNX for any batch size; return a function that runs the file by ONNX Runtime."""
    import onnx
    import onnxruntime

    model = to_onnx(embedder).model_proto
    _name_axes(model.graph)
    for name, value in facts.items():
        model.metadata_props.add(
            key=name, value=value if isinstance(value, str) else json.dumps(value)
        )
    onnx.save(model, str(path))
    # The bytes: ONNX Runtime cannot encode every path.
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(
        session.run(None, {session.get_inputs()[0].name: images.numpy()})[0]
    )


def _name_axes(graph: Any) -> None:
    """Call the axes of any size by what they are; torch gives them symbols such as ``s34``."""
    axes = graph.input[0].type.tensor_type.shape.dim
    names = ("batch", "channels", "height", "width")
    named = {axis.dim_param: name for axis, name in zip(axes, names, strict=True)}
    for value in (*graph.input, *graph.output, *graph.value_info):
        for axis in value.type.tensor_type.shape.dim:
            if axis.dim_param:
                axis.dim_param = named.get(axis.dim_param, axis.dim_param)


def write_safetensors(
    embedder: Embedder, path: Path, facts: dict[str, Any]
) -> Callable[[Tensor], Tensor]:
    """Write a file of this package, e.g. from published weights; return the model of that file."""
    save_embedder(embedder, path, card=facts)
    return load_embedder(path)


WRITERS = {"onnx": write_onnx, "torch_export": write_torch_export, "safetensors": write_safetensors}
