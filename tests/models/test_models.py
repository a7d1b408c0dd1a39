from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from asl.data.images import decode_image
from asl.models import build_embedder, load_embedder, model_hash, save_embedder
from asl.models.efficientnet_lite import load_lite_weights
from asl.models.io import read_card
from asl.models.pooling import RMAC, Average, GeM
from asl.types import AslError, UsageError

TINY = {"backbone": "mobilenetv3_small_050", "size": 64, "dim": 16}


def images(count: int = 3, side: int = 64) -> torch.Tensor:
    return torch.randint(
        0,
        256,
        (count, 3, side, side),
        dtype=torch.uint8,
        generator=torch.Generator().manual_seed(0),
    )


@pytest.mark.parametrize("norm_head", [False, True])
@pytest.mark.parametrize("neck", ["linear_bn", "linear", "bn", "projector", "none"])
def test_a_saved_embedder_comes_back_the_same(tmp_path: Path, neck: str, norm_head: bool) -> None:
    embedder = build_embedder(**TINY, neck=neck, norm_head=norm_head, hidden=[32]).eval()
    save_embedder(embedder, tmp_path / "model.safetensors", card={"note": "x"})
    again = load_embedder(tmp_path / "model.safetensors")
    assert torch.equal(embedder(images()), again(images()))
    assert model_hash(embedder) == model_hash(again)
    assert read_card(tmp_path / "model.safetensors") == {"note": "x"}
    assert load_embedder(tmp_path).preprocessing.size == 64, "the folder of a training will do"
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"], (
        "no temporary file is left"
    )


def test_the_published_projector_learns_a_scale_and_no_shift(tmp_path: Path) -> None:
    embedder = build_embedder(**TINY, neck="projector", hidden=[32], slope=0.2, scale=True).eval()
    last = embedder.neck.layers[-1]
    assert last.weight.requires_grad
    assert not last.bias.requires_grad
    assert embedder.neck.layers[2](torch.tensor([-1.0, 1.0])).tolist() == pytest.approx([-0.2, 1.0])
    save_embedder(embedder, tmp_path / "model.safetensors", card={})
    assert torch.equal(embedder(images()), load_embedder(tmp_path)(images()))


def test_a_recipe_that_was_saved_before_these_options_loads(tmp_path: Path) -> None:
    embedder = build_embedder(**TINY, neck="projector", hidden=[32]).eval()
    save_embedder(embedder, tmp_path / "model.safetensors", card={})
    with safe_open(tmp_path / "model.safetensors", framework="pt") as file:
        metadata = file.metadata()
    recipe = json.loads(metadata["recipe"])
    older = {name: value for name, value in recipe.items() if name not in ("slope", "scale")}
    weights = {name: value.contiguous() for name, value in embedder.state_dict().items()}
    save_file(
        weights, tmp_path / "old.safetensors", metadata={**metadata, "recipe": json.dumps(older)}
    )
    again = load_embedder(tmp_path / "old.safetensors")
    assert torch.equal(embedder(images()), again(images()))
    assert model_hash(embedder) == model_hash(again)


def test_bytes_and_floats_are_the_same_image() -> None:
    embedder = build_embedder(**TINY).eval()
    assert torch.allclose(embedder(images()), embedder(images().float() / 255), atol=1e-5)


def test_an_image_s_feature_does_not_depend_on_its_batch() -> None:
    embedder = build_embedder(**TINY, norm_head=True).eval()
    together = embedder(images(4))
    alone = torch.cat([embedder(image[None]) for image in images(4)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_a_norm_head_changes_lengths_and_not_directions() -> None:
    embedder = build_embedder(**TINY, norm_head=True).eval()
    before = embedder(images())
    with torch.no_grad():
        embedder.neck.head[-1].bias += 1.0
    after = embedder(images())
    assert torch.allclose(
        torch.nn.functional.normalize(before), torch.nn.functional.normalize(after), atol=1e-6
    )
    assert (after.norm(dim=1) > 1.2 * before.norm(dim=1)).all()


def test_poolings_by_hand() -> None:
    grid = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]]]])
    assert float(GeM(p=1.0)(grid)) == pytest.approx(3.0)
    assert float(GeM(p=3.0)(grid)) == pytest.approx(((1 + 8 + 27 + 216) / 4) ** (1 / 3))
    assert float(Average()(grid)) == pytest.approx(3.0)
    constant = RMAC()(torch.ones(1, 4, 6, 8))
    assert torch.allclose(torch.nn.functional.normalize(constant), torch.full((1, 4), 0.5))


def test_tokens_are_the_map_behind_the_feature() -> None:
    embedder = build_embedder(
        backbone="vit_tiny_patch16_224", size=64, dim=8, pooling="cls", options={"img_size": 64}
    )
    features, tokens = embedder.eval().tokens(images())
    assert features.shape == (3, 8)
    assert tokens.shape == (3, 192, 4, 4)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"backbone": "resnet999"}, "timm has no"),
        ({"pooling": "gemm"}, "pooling"),
        ({"neck": "bnneck"}, "neck"),
        ({"resize": "crop"}, "resize"),
        ({"pretrained": "imagenet"}, "pretrained"),
        ({"pretrained": "package"}, "package has no weights of"),
    ],
)
def test_wrong_recipes_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(AslError, match=message):
        build_embedder(**{**TINY, **wrong})  # type: ignore[arg-type]


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "pickle.safetensors").write_bytes(b"\x80\x04junk")
    with pytest.raises(AslError, match="no safetensors file"):
        load_embedder(tmp_path / "pickle.safetensors")
    save_file({"w": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(AslError, match="something else"):
        load_embedder(tmp_path / "other.safetensors")
    with pytest.raises(UsageError, match=r"asl\.train"):
        load_embedder(tmp_path / "nowhere")


@pytest.mark.shared
def test_the_packaged_imagenet_weights_classify(shared_data: Path) -> None:
    network = timm.create_model("tf_efficientnet_lite0").eval()
    load_lite_weights(network, "tf_efficientnet_lite0", classifier=True)
    files = sorted((shared_data / "train" / "in1k").glob("*.jpg"))[:40]
    labels = sorted(
        path.name.split("_")[0] for path in (shared_data / "train" / "in1k").glob("*.jpg")
    )
    every = sorted(set(labels))
    right = 0
    for path in files:
        image = torch.from_numpy(np.ascontiguousarray(_square(decode_image(path)))).permute(
            2, 0, 1
        )[None]
        with torch.no_grad():
            logits = network((image.float() / 255 - 0.5) / 0.5)[0]
        # The classes are in the order of their WordNet ids; only a part of the thousand has a
        # photograph here.
        assert len(every) <= 1000
        right += int(_rank_ok(logits, path.name.split("_")[0]))
    assert right / len(files) > 0.75


def _square(image: np.ndarray) -> np.ndarray:
    from asl.data.images import resize_image

    small = resize_image(image, 256, mode="short")
    top, left = (small.shape[0] - 224) // 2, (small.shape[1] - 224) // 2
    return small[top : top + 224, left : left + 224]


def _rank_ok(logits: torch.Tensor, wnid: str) -> bool:
    from timm.data import ImageNetInfo

    return bool(ImageNetInfo().index_to_label_name(int(logits.argmax())) == wnid)


def test_a_saved_model_keeps_its_hash(tmp_path: Path) -> None:
    embedder = build_embedder(
        backbone="mobilenetv3_small_050", size=32, dim=8, hidden=(64,), norm_head=True
    ).eval()
    save_embedder(embedder, tmp_path / "m.safetensors", card={})
    assert model_hash(load_embedder(tmp_path / "m.safetensors")) == model_hash(embedder)
    other = build_embedder(
        backbone="mobilenetv3_small_050", size=48, dim=8, hidden=(64,), norm_head=True
    ).eval()
    other.load_state_dict(embedder.state_dict())
    assert model_hash(other) != model_hash(embedder), "another size makes other features"


def test_the_shipped_model_is_calibrated_for_itself() -> None:
    from asl.models.scores import find_calibrations

    assert {"cosine", "hinge"} <= set(
        find_calibrations("asl_lite0", model_hash(load_embedder("asl_lite0")))
    )


def test_a_full_last_stage_has_no_stride_and_no_dilation() -> None:
    plain = build_embedder(backbone="resnet18", neck="none")
    full = build_embedder(backbone="resnet18", neck="none", full_last_stage=True)
    assert plain.tokens(images())[1].shape[2] * 2 == full.tokens(images())[1].shape[2]
    last = [part for part in full.backbone.layer4.modules() if isinstance(part, torch.nn.Conv2d)]
    assert {(part.stride, part.dilation) for part in last} == {((1, 1), (1, 1))}
    with pytest.raises(AslError, match=r"model\.full_last_stage: the backbone has no strided"):
        build_embedder(**{**TINY, "full_last_stage": True, "backbone": "vit_tiny_patch16_224"})
    pooled = build_embedder(backbone="resnet10t", neck="none", full_last_stage=True)
    assert pooled.tokens(images())[1].shape[2] == full.tokens(images())[1].shape[2]
    shifted = build_embedder(backbone="resnet18", neck="linear_bn", dim=4, shift=True)
    assert shifted.neck.norm.bias.requires_grad
