"""Settings that must stand before torch starts, and the fixtures that several rooms share."""

from __future__ import annotations

import os

# Without these two, a pair of busy processes on two cores slows down several times over (spinning
# threads).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ["ASL_CACHE"] = "off"  # nothing is taken from an earlier run
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
if "PYTEST_XDIST_WORKER" in os.environ:  # as many test processes as cores: one thread each
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import pytest

if TYPE_CHECKING:
    from asl.models import Embedder

SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Find the folder of real photographs and golden numbers; skip where it is missing."""
    if not SHARED.is_dir():
        pytest.skip(
            f"the folder of real photographs is not beside this checkout ({SHARED.name} is missing)"
        )
    return SHARED


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of eight generated scenes, ``0.png`` and so on."""
    from asl.data.scenes import render_scene

    folder = tmp_path_factory.mktemp("photos")
    for number in range(8):
        cv2.imwrite(
            str(folder / f"{number}.png"), render_scene(number, height=64, width=80)[..., ::-1]
        )
    return folder


def pytest_xdist_auto_num_workers() -> int:
    """Run one process per logical core with ``-n auto``, four at most: each loads PyTorch."""
    return min(4, os.cpu_count() or 1)


@pytest.fixture(scope="session")
def commands() -> Iterator[Path]:
    """A folder with ``python`` and ``asl`` that start without loading the libraries again."""
    from tests.commands.commands import started

    with started() as folder:
        yield folder


@pytest.fixture(scope="session")
def embedder() -> Embedder:
    """A small network with random weights: neighbours mean nothing."""
    import torch

    from asl.models import build_embedder

    torch.manual_seed(0)
    return build_embedder(backbone="mobilenetv3_small_050", size=64, dim=16, norm_head=True).eval()


@pytest.fixture(scope="session")
def model(embedder: Embedder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from asl.models import save_embedder

    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_embedder(embedder, path, card={"note": "random weights"})
    return path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files for several processes; skip what needs a GPU where there is none."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        # Files with long tests first: none is left for one process while the others are done.
        slow = {item.path for item in items if item.get_closest_marker("slow")}
        items.sort(key=lambda item: item.path not in slow)
    if not any(item.get_closest_marker("gpu") for item in items):
        return
    import torch

    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="no CUDA device"))
