from __future__ import annotations

import hashlib
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

from asl.edits import Sequence, View, make_views, overlap
from asl.edits.composite import OverlayOnto
from asl.edits.drawing import Erase
from asl.edits.engine.edit_base import Edit
from asl.edits.engine.foreign_images import Pool
from asl.edits.geometric import Affine, Crop, Flip, Perspective
from asl.edits.local_warps import Elastic
from asl.edits.photometric import Grayscale
from asl.edits.recipes import load_recipe
from asl.types import AslError


def test_views_depend_on_seed_key_and_number_alone(photo: np.ndarray, pool: Pool) -> None:
    recipe = load_recipe("disc_like")
    made = make_views(photo, recipe, key="a", seed=3, views=4, size=64, pool=pool)
    again = make_views(photo, recipe, key="a", seed=3, views=2, size=64, pool=pool)
    for first, second in zip(made, again, strict=False):
        assert np.array_equal(first.image, second.image)
        assert first.log == second.log
    other_key = make_views(photo, recipe, key="b", seed=3, views=2, size=64, pool=pool)
    other_seed = make_views(photo, recipe, key="a", seed=4, views=2, size=64, pool=pool)
    assert not np.array_equal(made[1].image, other_key[1].image)
    assert not np.array_equal(made[1].image, other_seed[1].image)


def test_the_first_view_is_the_original_unless_asked_otherwise(photo: np.ndarray) -> None:
    recipe = Grayscale()
    first = make_views(photo, recipe, key="a", seed=0, views=1, size=32)[0]
    assert first.log == ()
    assert first.content == first.cover == first.fidelity == 1.0
    assert first.image.shape == (32, 32, 3)
    edited = make_views(photo, recipe, key="a", seed=0, views=1, size=32, first="edited")[0]
    assert [entry["edit"] for entry in edited.log] == ["grayscale"]


def test_views_of_a_large_image_lead_back_to_its_own_pixels(photo: np.ndarray) -> None:
    large = np.repeat(np.repeat(photo, 5, axis=0), 5, axis=1)
    view = make_views(large, Flip(), key="a", seed=0, views=2, size=32)[1]
    assert view.source_size == (600, 800)
    assert view.map[0, 0, 0] == pytest.approx(787, abs=1)
    assert view.map[0, -1, 0] == pytest.approx(12, abs=1)


@pytest.mark.parametrize("grid", [7, 14, 16, 24])
def test_overlap_of_a_view_with_itself_is_the_identity(photo: np.ndarray, grid: int) -> None:
    chain = Sequence([Crop(area=(0.3, 0.5)), Flip(), Perspective(border="replicate")])
    plain, edited = make_views(photo, chain, key="a", seed=0, views=2, size=224)
    assert np.array_equal(overlap(plain, plain, grid=grid), np.eye(grid * grid, dtype=np.float32))
    itself = overlap(edited, edited, grid=grid)
    assert np.array_equal(itself, np.diag(np.diag(itself)))
    assert np.diag(itself).mean() == pytest.approx(edited.cover, abs=0.03)


def test_overlap_with_a_flipped_view_mirrors_the_columns(photo: np.ndarray) -> None:
    plain, flipped = make_views(photo, Flip(), key="a", seed=0, views=2, size=64)
    expected = np.kron(np.eye(4), np.eye(4)[::-1])
    assert np.allclose(overlap(plain, flipped, grid=4), expected, atol=0.02)


def test_overlap_with_a_quarter(photo: np.ndarray) -> None:
    view = View.original(photo)
    quarter = view.cropped(0, 0, 60, 80, {"edit": "crop"})
    forward = overlap(view, quarter, grid=2)
    assert np.allclose(forward[0], 0.25, atol=0.02)  # the whole upper left patch, spread over four
    assert np.allclose(forward[1:], 0.0, atol=0.02)
    assert np.allclose(overlap(quarter, view, grid=2)[:, 0], 1.0)


def test_overlap_with_a_quarter_at_the_grid_of_a_network() -> None:
    view = View.original(np.zeros((224, 224, 3), np.uint8))
    quarter = view.cropped(0, 0, 112, 112, {"edit": "crop"}).resized(224, 224)
    expected = np.zeros((14, 14, 14, 14), np.float32)
    for row in range(7):
        for column in range(7):
            expected[row, column, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = 0.25
    expected = expected.reshape(196, 196)
    assert np.array_equal(overlap(view, quarter, grid=14), expected)
    assert np.array_equal(overlap(quarter, view, grid=14), (expected > 0).T)


def counted(first: View, second: View, grid: int) -> np.ndarray:
    """Slow loop: search the nearest position of the second view for every pixel of the first."""
    height, width = second.size
    places = np.nan_to_num(second.map.reshape(-1, 2), nan=1e6)
    down, across = (np.linalg.norm(np.gradient(second.map, axis=axis), axis=-1) for axis in (0, 1))
    reach = (np.hypot(down, across) / 2).ravel()  # half a pixel's diagonal, for each pixel
    reach = np.nan_to_num(reach, nan=np.nanmedian(reach))
    shares = np.zeros((grid * grid, grid * grid))
    for y in range(first.size[0]):
        for x in range(first.size[1]):
            if np.isnan(first.map[y, x, 0]):
                continue
            distances = np.linalg.norm(places - first.map[y, x], axis=-1)
            nearest = int(distances.argmin())
            if distances[nearest] <= reach[nearest]:
                patch = y * grid // first.size[0] * grid + x * grid // first.size[1]
                shares[
                    patch,
                    nearest // width * grid // height * grid + nearest % width * grid // width,
                ] += 1
    return shares * grid**2 / (first.size[0] * first.size[1])


@pytest.mark.parametrize(
    ("edits", "allowed"),
    [
        ([Crop(area=(0.3, 0.6)), Flip()], 0.01),
        ([Affine(), Erase(area=(0.05, 0.2))], 0.05),
        ([Perspective(strength=(0.2, 0.3)), OverlayOnto()], 0.01),
        ([Elastic(), Crop(area=(0.5, 0.8))], 0.12),
    ],
    ids=["crop", "affine", "overlay", "waves"],
)
def test_overlap_is_the_share_that_a_loop_counts(
    photo: np.ndarray, edits: list[Edit], allowed: float
) -> None:
    first = Crop(area=(0.5, 0.9))(View.original(photo), np.random.default_rng(2)).resized(
        28, 28
    )  # 4 x 4 a patch
    second = Sequence(edits)(View.original(photo), np.random.default_rng(1)).resized(112, 112)
    expected = counted(first, second, 7)
    wrong = np.abs(overlap(first, second, grid=7) - expected)
    assert wrong.sum() < allowed * expected.sum()


def test_refusals(photo: np.ndarray) -> None:
    with pytest.raises(AslError, match="at least 1 view of 16 pixels"):
        make_views(photo, Flip(), key="a", seed=0, views=0, size=64)
    with pytest.raises(AslError, match=r"expected uint8 \[H, W, 3\] RGB, got float64"):
        make_views(photo / 255.0, Flip(), key="a", seed=0, views=1, size=64)
    with pytest.raises(AslError, match="at least 2 x 2 pixels"):
        make_views(photo[:1, :1], Flip(), key="a", seed=0, views=1, size=64)
    with pytest.raises(AslError, match="overlap: expected views of one original"):
        overlap(View.original(photo), View.original(photo[:50]), grid=2)


def _digests(numbers: list[int]) -> list[str]:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, size=(60, 80, 3), dtype=np.uint8)
    others = Pool([rng.integers(0, 256, size=(40, 50, 3), dtype=np.uint8) for _ in range(3)])
    recipe = load_recipe("disc_like")
    made = [
        make_views(image, recipe, key=str(n), seed=5, views=3, size=48, pool=others)
        for n in numbers
    ]
    return [hashlib.sha256(view.image.tobytes()).hexdigest() for views in made for view in views]


@pytest.mark.slow
def test_other_processes_make_the_same_bytes() -> None:
    here = _digests(list(range(12)))
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as workers:
        there = list(workers.map(_digests, [[n] for n in range(12)]))
    assert [digest for part in there for digest in part] == here
