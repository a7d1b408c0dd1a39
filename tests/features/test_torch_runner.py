"""Forward passes leave the model as it was, and sizes do not mix."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from asl.features.torch_runner import TorchRunner, _full_float32
from asl.models import build_embedder


def test_images_of_several_sizes_keep_their_order() -> None:
    embedder = build_embedder(backbone="mobilenetv3_small_050", size=64, dim=8).train()
    rng = np.random.default_rng(0)
    shapes = [(64, 64, 3), (64, 96, 3), (64, 64, 3)]
    images = [rng.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]
    runner = TorchRunner(embedder, "auto" if not torch.cuda.is_available() else "cpu")
    features = runner.embed(images)
    assert embedder.training, "its mode is restored"
    assert features.shape == (3, 8)
    for row, image in enumerate(images):
        assert features[row] == pytest.approx(runner.embed([image])[0], abs=1e-4)


def test_a_model_on_the_cpu_decodes_in_its_own_process() -> None:
    embedder = build_embedder(backbone="mobilenetv3_small_050", size=64, dim=8)
    runner = TorchRunner(embedder, "cpu")
    assert runner.device.type == "cpu"
    assert runner.decoders() == 0


def test_on_a_gpu_products_are_full_float32_and_processes_decode() -> None:
    embedder = build_embedder(backbone="mobilenetv3_small_050", size=64, dim=8)
    runner = TorchRunner(embedder, "cpu")
    runner.device = torch.device("cuda")
    assert 1 <= runner.decoders() <= 8
    before = torch.get_float32_matmul_precision()
    allowed = torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high")  # what a training leaves behind
    try:
        with _full_float32(runner.device):
            assert torch.get_float32_matmul_precision() == "highest"
            assert not torch.backends.cudnn.allow_tf32
            assert torch.backends.cudnn.deterministic
        assert torch.get_float32_matmul_precision() == "high"
        assert torch.backends.cudnn.allow_tf32 == allowed
    finally:
        torch.set_float32_matmul_precision(before)


def test_a_device_that_cannot_be_used_is_one_line() -> None:
    import pytest

    from asl.features.torch_runner import usable_device
    from asl.types import UsageError

    assert usable_device("auto").type in ("cpu", "cuda")
    for name in ("cuda:99", "none", "cpu:x"):
        with pytest.raises(UsageError, match=f"device: '{name}' cannot be used") as caught:
            usable_device(name)
        assert "\n" not in str(caught.value)
