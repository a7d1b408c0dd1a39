"""Published weights: files in exactly their layouts, outputs equal to the published networks'."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from asl.cli import compose
from asl.export import run as export
from asl.models import build_embedder, load_embedder, model_hash
from asl.types import AslError, UsageError


def images(height: int = 96, width: int = 128) -> Tensor:
    coarse = torch.rand(2, 3, 6, 8, generator=torch.Generator().manual_seed(0))
    return (255 * F.interpolate(coarse, size=(height, width), mode="bilinear")).to(torch.uint8)


def normalised(mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    return (images().float() / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(
        3, 1, 1
    )


class Gem(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).clamp(min=1e-6).pow(3.0).mean(dim=2).pow(1.0 / 3.0)


class Sscd(nn.Module):
    """As the paper describes it, with the names of the published torchvision files."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.backbone = torchvision.models.resnet18(num_classes=64)
        self.backbone.avgpool = Gem()

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(self.backbone(x))


class Isc(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.backbone = timm.create_model("tf_efficientnetv2_b0", features_only=True)
        self.fc = nn.Linear(192, 32, bias=False)
        self.bn = nn.BatchNorm1d(32)
        nn.init.normal_(self.bn.bias)

    def forward(self, x: Tensor) -> Tensor:
        last = self.backbone(x)[-1]
        pooled = F.avg_pool2d(last.clamp(min=1e-6), last.shape[-2:]).flatten(1)
        return F.normalize(self.bn(self.fc(pooled)))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("public")
    sscd, isc = Sscd().eval(), Isc().eval()
    torch.save(sscd.state_dict(), folder / "sscd.torchvision.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is old
        torch.jit.trace(sscd, torch.rand(2, 3, 96, 96)).save(str(folder / "sscd.torchscript.pt"))
    content: dict[str, Any] = {
        "arch": "tf_efficientnetv2_b0",
        "args": argparse.Namespace(input_size=160, lr=0.1),
        "state_dict": {f"module.{name}": value for name, value in isc.state_dict().items()},
    }
    torch.save(content, folder / "isc.pth.tar")
    return folder


@pytest.mark.parametrize("name", ["sscd.torchvision.pt", "sscd.torchscript.pt"])
def test_sscd_answers_as_published(files: Path, name: str) -> None:
    embedder = load_embedder(files / name)
    expected = Sscd().eval()(normalised((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    assert torch.allclose(F.normalize(embedder(images())), expected, atol=1e-5)
    assert (embedder.preprocessing.size, embedder.preprocessing.resize) == (288, "short")
    assert not embedder.training


def test_the_challenge_winner_answers_as_published(files: Path) -> None:
    embedder = load_embedder(files / "isc.pth.tar")
    expected = Isc().eval()(normalised((0.5,) * 3, (0.5,) * 3))
    assert torch.allclose(F.normalize(embedder(images())), expected, atol=1e-5)
    assert (embedder.preprocessing.size, embedder.preprocessing.resize, embedder.dim) == (
        160,
        "squash",
        32,
    )


@pytest.mark.parametrize("name", ["sscd.torchvision.pt", "isc.pth.tar"])
def test_they_are_saved_and_started_from_like_any_other(
    files: Path, tmp_path: Path, name: str
) -> None:
    saved = tmp_path / "model.safetensors"
    assert export(compose("export", [f"model={files / name}", f"output={saved}"])) == 0
    assert model_hash(load_embedder(saved)) == model_hash(load_embedder(files / name))
    recipe = load_embedder(saved).recipe
    headed = build_embedder(
        backbone=recipe.backbone,
        pooling=recipe.pooling,
        p=recipe.p,
        neck=recipe.neck,
        dim=recipe.dim,
        without=recipe.without,
        norm_head=True,
        detach_norm=True,
        weights=str(saved),
    ).eval()
    features = headed(images())
    assert torch.allclose(
        F.normalize(features),
        F.normalize(load_embedder(saved)(images()[:, :, :96, :128])),
        atol=1e-4,
    )
    features.norm(dim=1).sum().backward()
    sizes = {
        name: float(value.grad.abs().sum())
        for name, value in headed.named_parameters()
        if value.grad is not None
    }
    trained = {name for name, size in sizes.items() if size > 1e-3 * max(sizes.values())}
    assert trained
    assert all(name.startswith("neck.head") for name in trained), "a norm head on frozen features"


def test_other_files_are_refused_in_one_line(files: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"state_dict": {"conv.weight": torch.zeros(3)}}, tmp_path / "strange.pt")
    torch.save({"state_dict": Evil()}, tmp_path / "evil.pt")
    (tmp_path / "broken.pth").write_bytes(b"no weights")
    short = torch.load(files / "sscd.torchvision.pt", weights_only=True)
    short.pop("backbone.layer2.0.bn1.weight")
    torch.save(short, tmp_path / "short.pt")
    wide = dict(torch.load(files / "sscd.torchvision.pt", weights_only=True))
    wide["backbone.layer1.0.conv2.weight"] = torch.zeros(64, 7, 3, 3)
    torch.save(wide, tmp_path / "wide.pt")
    for name, message in (
        ("strange.pt", "none of the published weights"),
        ("evil.pt", "cannot be read as weights"),
        ("broken.pth", "cannot be read as weights"),
        ("short.pt", "does not fit resnet18, e.g. backbone.layer2.0.bn1.weight"),
        ("wide.pt", "7 channels is not known"),
    ):
        with pytest.raises(AslError, match=message) as caught:
            load_embedder(tmp_path / name)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists(), "a file of weights must not run code"
    with pytest.raises(UsageError, match="without: the backbone has no part"):
        build_embedder(backbone="resnet18", without=["conv_head"])
