"""What is left of an aligned pair, against cases whose answer is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

import asl.matching.evidence.agreement as agreement_module
from asl.matching.evidence.agreement import Comparison, local_correlation
from asl.matching.evidence.overlay import Overlay
from asl.matching.values import Gray
from tests.matching.conftest import Image


def gray(image: Image) -> np.ndarray:
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)


def overlay(query: np.ndarray, reference: np.ndarray) -> Overlay:
    return Overlay(query, reference, np.ones(query.shape, dtype=bool), np.eye(3))


def test_equal_pictures_agree_in_everything(picture: Image) -> None:
    values = Comparison(overlay(gray(picture), gray(picture))).values
    every = ("low", "quarter", "median", "coarse", "tiny", "kept", "fine")
    for name in (*(f"corr_{part}" for part in every), "gradient", "tone"):
        assert values[name] == pytest.approx(1.0, abs=0.01), name
    assert values["added"] == values["diffuse"] == values["detail"] == 0.0


def test_local_correlation_is_the_loop_over_windows() -> None:
    rng = np.random.default_rng(0)
    first, second = (rng.uniform(0, 255, (30, 40)).astype(np.float32) for _ in range(2))
    ours, contrast = local_correlation(first, second, window=5)
    for y, x in ((10, 12), (2, 2), (27, 37), (15, 30)):
        a, b = (
            picture[y - 2 : y + 3, x - 2 : x + 3].astype(np.float64) for picture in (first, second)
        )
        shared = ((a - a.mean()) * (b - b.mean())).mean()
        expected = (shared + 4.0) / np.sqrt((a.var() + 4.0) * (b.var() + 4.0))
        assert ours[y, x] == pytest.approx(expected, abs=2e-3)
        assert contrast[y, x] == pytest.approx(max(a.std(), b.std()), rel=1e-3)


@pytest.mark.parametrize("level", [0, 255])
def test_a_plain_area_agrees_with_a_plain_area_only(level: int) -> None:
    """White paper and a line of text, a black bar and a face: one structured side disagrees."""
    page = np.full((120, 200, 3), 255, np.uint8)
    cv2.putText(page, "minutes of May", (8, 70), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (0, 0, 0), 2)
    text = gray(page)
    plain = np.full_like(text, level)
    correlation, contrast = local_correlation(plain, text)
    written = contrast > 20
    assert written.mean() > 0.1
    assert correlation[written].max() < 0.2
    assert correlation[contrast == 0].min() > 0.99, "two plain areas agree"
    swapped, _ = local_correlation(text, plain)
    np.testing.assert_allclose(swapped, correlation, atol=1e-6)


@pytest.mark.parametrize("share", [0.2, 0.4])
def test_a_bar_counts_as_covered(picture: Image, share: float) -> None:
    reference = gray(picture)
    barred = reference.copy()
    height = reference.shape[0]
    barred[height // 4 : height // 4 + round(share * height)] = 0
    compared = Comparison(overlay(barred, reference))
    assert compared.values["added"] > share / 2
    rows = np.flatnonzero(compared.added.any(axis=1))
    assert height // 4 - 12 <= rows.min()
    assert rows.max() <= height // 4 + share * height + 12


def test_a_tone_curve_explains_a_negative_and_not_another_picture(
    picture: Image, other_picture: Image
) -> None:
    turned = Comparison(overlay(255 - gray(picture), gray(picture))).values
    assert turned["corr_median"] < -0.9
    assert turned["tone"] > 0.95
    assert Comparison(overlay(gray(other_picture), gray(picture))).values["tone"] < 0.3


def test_what_is_pasted_on_is_added_and_not_disagreement(picture: Image) -> None:
    changed = picture.copy()
    changed[40:100, 60:140] = 255 - picture[40:100, 60:140]
    found = Comparison(overlay(gray(changed), gray(picture)))
    share = 60 * 80 / picture[..., 0].size
    assert found.values["added"] == pytest.approx(share, rel=0.45)
    assert found.values["corr_kept"] > 0.9 > found.values["corr_low"]
    assert found.added[50:90, 75:125].mean() > 0.5
    assert not found.added[120:, :].any()


def test_blur_shows_as_missing_detail_and_agrees_at_a_coarser_scale(picture: Image) -> None:
    blurred = gray(cv2.GaussianBlur(picture, (0, 0), 3))
    values = Comparison(overlay(blurred, gray(picture))).values
    assert values["detail"] < -0.7
    assert Comparison(overlay(gray(picture), blurred)).values["detail"] > 0.7
    assert values["corr_coarse"] > values["corr_low"] + 0.1


def test_noise_of_its_own_shows_in_the_finest_detail_only(picture: Image) -> None:
    """Two shots of one scene: the structure agrees, the noise does not; added pieces aside."""
    rng = np.random.default_rng(0)
    textured = gray(picture) + rng.normal(0, 6, picture.shape[:2]).astype(np.float32)
    shot = gray(picture) + rng.normal(0, 6, picture.shape[:2]).astype(np.float32)
    covered = textured.copy()
    covered[40:100, 60:140] = 255 - covered[40:100, 60:140]
    copy, other = (Comparison(overlay(query, textured)).values for query in (covered, shot))
    assert other["corr_median"] > 0.8
    assert copy["corr_fine"] > 0.95 > 0.6 > other["corr_fine"]


def test_pixelation_agrees_at_an_eighth(picture: Image, other_picture: Image) -> None:
    def pixelised(image: Image) -> np.ndarray:
        small = cv2.resize(image, (30, 22), interpolation=cv2.INTER_AREA)
        return gray(cv2.resize(small, (240, 180), interpolation=cv2.INTER_NEAREST))

    own = Comparison(overlay(pixelised(picture), gray(picture))).values
    other = Comparison(overlay(pixelised(other_picture), gray(picture))).values
    assert own["corr_tiny"] > 0.8 > 0.3 > other["corr_tiny"]
    assert own["corr_low"] < 0.4


def test_two_pictures_in_one_frame_agree_along_the_rim_only(
    picture: Image, other_picture: Image
) -> None:
    def framed(image: Image) -> np.ndarray:
        soft = cv2.GaussianBlur(image, (0, 0), 6)  # little structure but that of the frame
        inner = soft[8:-8, 8:-8]
        return gray(cv2.copyMakeBorder(inner, 8, 8, 8, 8, cv2.BORDER_CONSTANT, value=(0, 0, 0)))

    own = Comparison(overlay(framed(picture), framed(picture))).values
    other = Comparison(overlay(framed(other_picture), framed(picture))).values
    assert own["corr_inner"] > 0.95 > 0.5 > other["corr_inner"]
    assert own["structure"] > 0.3
    plain = Comparison(
        overlay(*[framed(np.full_like(picture, level)) for level in (90, 140)])
    ).values
    assert (plain["corr_inner"], plain["structure"]) == (0.0, 0.0)
    assert plain["corr_median"] > 0.9


def test_a_measurement_is_made_once_and_only_where_it_is_read(
    picture: Image, other_picture: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def counted(first: Gray, second: Gray, window: int = 9, *, floor: float = 4.0) -> object:
        made.append(window)
        return local_correlation(first, second, window, floor=floor)

    monkeypatch.setattr(agreement_module, "local_correlation", counted)
    comparison = Comparison(overlay(gray(other_picture), gray(picture)))
    assert made == []
    assert comparison.quantiles is comparison.quantiles
    assert made == [9], "the quantiles need the whole resolution alone"
    assert comparison.coarse.keys() >= {"corr_coarse", "corr_tiny"}
    assert made == [9, 5, 5]
    assert comparison.values.items() >= (comparison.quantiles | comparison.coarse).items()
    assert made == [9, 5, 5, 9], "the finest detail is added"


def test_flat_pictures_agree_but_prove_nothing() -> None:
    values = Comparison(
        overlay(np.full((40, 50), 80, np.float32), np.full((40, 50), 90, np.float32))
    ).values
    assert (
        values["corr_low"] == values["corr_median"] == values["tone"] == values["gradient"] == 0.0
    )
