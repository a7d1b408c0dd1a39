"""Learned features: shape, order, equivariance, small pictures, threads, a damaged network."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

import asl.matching.align.xfeat as xfeat
from asl.data.images import decode_image
from asl.matching.align.prepare import working_image
from asl.matching.align.xfeat import LearnedFeatures, detect_xfeat
from asl.types import AslError
from tests.matching.conftest import Image, textured

SHARED = Path(__file__).parents[4] / "shared" / "data"
PHOTOGRAPHS = [SHARED / "train" / name for name in ("caltech", "in1k", "clothing")]


def test_features_lie_in_the_picture_and_are_unit_vectors(picture: Image) -> None:
    found = detect_xfeat(picture)
    assert 100 < len(found.points) <= 512
    assert found.points.dtype == found.descriptors.dtype == np.float32
    assert found.descriptors.shape == (len(found.points), 64)
    assert found.points.min() >= 0
    assert np.all(found.points <= np.array(picture.shape[1::-1]))
    assert np.linalg.norm(found.descriptors, axis=1) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("shape", [(31, 300), (300, 31), (1, 1)])
def test_pictures_below_32_pixels_have_none(shape: tuple[int, int]) -> None:
    found = detect_xfeat(np.zeros((*shape, 3), np.uint8))
    assert found.points.shape == (0, 2)
    assert found.descriptors.shape == (0, 64)


@pytest.mark.parametrize("shape", [(32, 32), (33, 47), (64, 1000), (240, 320)])
def test_any_other_shape_is_taken(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    found = detect_xfeat(noise)
    assert np.isfinite(found.descriptors).all()
    assert np.all(found.points <= np.array(shape[::-1]))


@pytest.fixture(scope="module")
def opencv_network() -> cv2.dnn.Net:
    """The same network, run by OpenCV."""
    return cv2.dnn.readNetFromONNX(np.frombuffer(xfeat.network_file(), dtype=np.uint8))


def by_opencv(network: cv2.dnn.Net, image: Image) -> tuple[xfeat.F32, xfeat.F32, xfeat.F32]:
    picture = xfeat._network_input(image)
    network.setInput(picture[None, None], "image")
    network.setInput(xfeat._to_cells(picture)[None], "cells")
    described, points, reliability = network.forward(["descriptors", "points", "reliability"])
    return described[0], points[0], reliability[0]


def photographs() -> list[Image]:
    """Every 200th photograph of a collection beside the checkout, at working size."""
    files = sorted(path for folder in PHOTOGRAPHS for path in folder.glob("*.jpg"))
    return [working_image(decode_image(path.read_bytes()), 320) for path in files[::200]]


@pytest.mark.parametrize("shape", [(64, 64), (96, 320), (240, 320), (213, 320), (480, 640)])
def test_opencv_finds_the_same_in_drawings(
    shape: tuple[int, int], opencv_network: cv2.dnn.Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare_with_opencv(textured(3, *shape), opencv_network, monkeypatch)


@pytest.mark.skipif(not any(folder.is_dir() for folder in PHOTOGRAPHS), reason="no photographs")
def test_opencv_finds_the_same_in_photographs(
    opencv_network: cv2.dnn.Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    for image in photographs():
        compare_with_opencv(image, opencv_network, monkeypatch)


def compare_with_opencv(
    image: Image, network: cv2.dnn.Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = detect_xfeat(image)
    with monkeypatch.context() as patched:
        patched.setattr(xfeat, "_run", lambda *_: by_opencv(network, image))
        expected = detect_xfeat(image)
    assert len(found.points) == pytest.approx(len(expected.points), abs=2)
    row = {tuple(point): number for number, point in enumerate(expected.points.tolist())}
    pairs = [
        (mine, row[key]) for mine, key in enumerate(map(tuple, found.points.tolist())) if key in row
    ]
    assert len(pairs) >= 0.99 * len(expected.points)
    mine, theirs = np.array(pairs).T
    difference = np.abs(found.descriptors[mine] - expected.descriptors[theirs])
    assert difference.max() <= 2**-11  # one step of half precision from .5 to 1


def test_the_input_is_the_mean_of_the_colours() -> None:
    image = np.random.default_rng(4).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    mean = image.mean(axis=2, dtype=np.float32) / np.float32(255)
    expected = (mean - mean.mean()) / np.sqrt(mean.var() + 1e-5)
    assert np.array_equal(xfeat._network_input(image), expected)


def test_a_plain_picture_has_hardly_any() -> None:
    assert len(detect_xfeat(np.full((128, 128, 3), 90, np.uint8)).points) < 20


def test_features_move_with_the_picture(picture: Image) -> None:
    whole = cv2.resize(picture, (320, 256))
    first = detect_xfeat(np.ascontiguousarray(whole[:, :288]))
    second = detect_xfeat(np.ascontiguousarray(whole[:, 32:]))
    similar = first.descriptors @ second.descriptors.T
    best = similar.argmax(axis=1)
    near = similar[np.arange(len(best)), best] > 0.95
    moved = first.points[near] - second.points[best[near]]
    assert near.sum() > 50
    assert np.median(moved, axis=0) == pytest.approx([32, 0], abs=1)


def test_every_thread_finds_the_same(picture: Image) -> None:
    results: list[LearnedFeatures] = []
    threads = [
        threading.Thread(target=lambda: results.append(detect_xfeat(picture))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for other in results:
        assert np.array_equal(other.points, results[0].points)
        assert np.array_equal(other.descriptors, results[0].descriptors)


@pytest.mark.parametrize(
    ("damage", "message"),
    [("flipped", "damaged (its checksum differs); reinstall asl"), ("gone", "cannot be read")],
)
def test_a_damaged_network_is_named(
    damage: str, message: str, picture: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if damage == "flipped":
        data = bytearray(Path(xfeat.__file__).with_name("xfeat.onnx").read_bytes())
        data[len(data) // 2] ^= 1
        (tmp_path / "xfeat.onnx").write_bytes(data)
    monkeypatch.setattr(xfeat, "files", lambda _: tmp_path)
    xfeat._network.cache_clear()
    with pytest.raises(AslError) as caught:
        detect_xfeat(picture)
    assert message in str(caught.value)
    assert str(caught.value).startswith("xfeat.onnx")
