"""Published weights of others from files that the user downloads: SSCD and the ISC 2021 winner.

* SSCD (Pizzi et al., CVPR 2022; MIT): ``sscd_*.torchvision.pt`` and ``sscd_*.torchscript.pt``.
  ResNe(X)t, GeM with p = 3, one linear layer; its authors' preprocessing for inference: shorter
  side 288, ImageNet statistics.
* ``isc_ft_v107.pth.tar``, ``isc_selfsup_v98.pth.tar`` (Yokoo, arXiv 2112.04323; MIT):
  EfficientNetV2-M without its last convolution, average pooling, a linear layer and batch norm to
  256 dimensions, squashed to the size in the file.

They are loaded as embedders like any other, un-normalised; their norm was not trained, a norm head
can be. State dicts are read as data (``weights_only``); TorchScript is a program, limited to the
operators of TorchScript.
"""

from __future__ import annotations

import argparse
import pickle
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asl.models.assemble import assemble, create_backbone
from asl.models.embedder import Embedder
from asl.models.recipe import Preprocessing, Recipe
from asl.types import AslError

SUFFIXES = (".pt", ".pth", ".tar")
# Blocks in the third stage and channels of a grouped convolution identify the network.
_RESNETS = {
    (2, 64): "resnet18",
    (6, 64): "resnet50",
    (23, 4): "resnext101_32x4d",
    (23, 8): "resnext101_32x8d",
}
_Tensors = dict[str, Tensor]


def load_public(path: Path) -> Embedder:
    """Read published weights; the names of their tensors identify the architecture.

    Args:
        path: ``.pt``, ``.pth`` or ``.pth.tar`` as published.

    Returns:
        The embedder in evaluation mode. Where the file is TorchScript, the output for a test image
        was compared with that of the program in the file.

    Raises:
        AslError: not readable as weights, or of an unknown architecture.
    """
    script, content = _read(path)
    tensors = {
        name.removeprefix("module."): value
        for name, value in content.get("state_dict", content).items()
    }
    if "backbone.conv_stem.weight" in tensors and "bn.running_mean" in tensors:
        embedder = _yokoo(path, tensors, content)
    elif "backbone.conv1.weight" in tensors and "backbone.fc.weight" in tensors:
        embedder = _sscd(path, tensors)
    else:
        names = ", ".join(list(tensors)[:3])
        raise AslError(
            f"{path}: holds none of the published weights that are known here "
            f"(its tensors: {names} ...); use SSCD's .torchvision.pt, isc_ft_v107 or "
            "isc_selfsup_v98"
        )
    embedder = embedder.eval()
    if script is not None:
        _check_equal(path, embedder, script)
    return embedder


def _read(path: Path) -> tuple[Callable[[Tensor], Tensor] | None, dict[str, Any]]:
    """Return the program of a TorchScript file (else None) and the content of the file."""
    try:
        if zipfile.is_zipfile(path) and any(
            "/code/" in name for name in zipfile.ZipFile(path).namelist()
        ):
            with warnings.catch_warnings():
                # TorchScript is deprecated, but these files are only published in it.
                warnings.filterwarnings("ignore", category=FutureWarning)
                warnings.filterwarnings("ignore", category=DeprecationWarning)
                script = torch.jit.load(str(path), map_location="cpu").eval()  # type: ignore[no-untyped-call]
            return script, dict(script.state_dict())
        # The files also store training arguments; a Namespace holds values and runs nothing.
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (
        OSError,
        RuntimeError,
        ValueError,
        EOFError,
        pickle.UnpicklingError,
        zipfile.BadZipFile,
    ) as error:
        raise AslError(
            f"{path}: cannot be read as weights ({str(error).splitlines()[0][:200]}); download it "
            "again"
        ) from error
    if not isinstance(content, Mapping) or not content:
        raise AslError(f"{path}: holds a {type(content).__name__}, expected named weights")
    return None, dict(content)


def _sscd(path: Path, tensors: _Tensors) -> Embedder:
    stage = sum(
        name.startswith("backbone.layer3.") and name.endswith(".conv1.weight") for name in tensors
    )
    width = tensors["backbone.layer1.0.conv2.weight"].shape[1]
    name = _RESNETS.get((stage, width))
    if name is None:
        raise AslError(
            f"{path}: a ResNet with {stage} blocks in its third stage and {width} channels is not "
            f"known here; expected {', '.join(_RESNETS.values())}"
        )
    weight = tensors["backbone.fc.weight"]
    recipe = Recipe(backbone=name, pooling="gem", p=3.0, neck="linear", dim=weight.shape[0])
    head = {"neck.linear.weight": weight, "neck.linear.bias": tensors["backbone.fc.bias"]}
    own = {name: value for name, value in tensors.items() if not name.startswith("backbone.fc.")}
    return _filled(path, recipe, Preprocessing(288, "short"), own | head)


def _yokoo(path: Path, tensors: _Tensors, content: Mapping[str, Any]) -> Embedder:
    weight = tensors["fc.weight"]
    name = str(content.get("arch", "tf_efficientnetv2_m_in21ft1k"))
    # timm has since renamed the variants; the architecture is the same.
    name = name.removesuffix("_in21ft1k").removesuffix("_in21k")
    recipe = Recipe(
        backbone=name,
        pooling="gem",
        p=1.0,
        neck="linear_bn",
        dim=weight.shape[0],
        without=("conv_head", "bn2"),
    )
    size = int(getattr(content.get("args"), "input_size", 512))
    own = {name: value for name, value in tensors.items() if name.startswith("backbone.")}
    norm = {
        f"neck.norm.{name[3:]}": value for name, value in tensors.items() if name.startswith("bn.")
    }
    half = (0.5, 0.5, 0.5)
    plan = Preprocessing(size, "squash", mean=half, std=half)
    return _filled(path, recipe, plan, own | norm | {"neck.linear.weight": weight})


def _filled(path: Path, recipe: Recipe, plan: Preprocessing, tensors: _Tensors) -> Embedder:
    embedder = assemble(create_backbone(recipe), recipe, plan)
    optional = {
        name
        for name in embedder.state_dict()
        if name == "pool.p" or name.endswith("num_batches_tracked")
    }
    try:
        missing, unknown = embedder.load_state_dict(tensors, strict=False)
    except RuntimeError as error:
        raise AslError(
            f"{path}: does not fit {recipe.backbone} ({str(error).splitlines()[-1].strip()[:160]})"
        ) from error
    misfits = sorted({*missing} - optional) + sorted(unknown)
    if misfits:
        raise AslError(f"{path}: does not fit {recipe.backbone}, e.g. {misfits[0]}")
    return embedder


@torch.inference_mode()
def _check_equal(path: Path, embedder: Embedder, script: Callable[[Tensor], Tensor]) -> None:
    coarse = torch.rand(2, 3, 6, 8, generator=torch.Generator().manual_seed(0))
    images = nn.functional.interpolate(coarse, size=(160, 192), mode="bilinear")
    rebuilt = embedder(images)
    published = script(embedder.normalise(images))
    cosine = float(F.cosine_similarity(rebuilt, published).min())
    if not cosine > 0.9999:
        raise AslError(
            f"{path}: the network rebuilt from its weights must agree with the program in the file "
            f"(cosine above 0.9999), got {cosine:.4f}; use the .torchvision.pt file"
        )
