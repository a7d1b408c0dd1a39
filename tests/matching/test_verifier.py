"""The packaged verifier on drawn images: plain areas, slides of one template, bars, gradients."""

from __future__ import annotations

from itertools import permutations

import cv2
import numpy as np
import pytest

from asl.matching import Verdict, Verifier
from tests.matching.conftest import Image


@pytest.fixture(scope="module")
def verifier() -> Verifier:
    return Verifier()


def slide(title: str, lines: tuple[str, ...]) -> Image:
    """A slide of one template: a coloured bar, a title, lines of text."""
    image = np.full((360, 480, 3), 255, np.uint8)
    cv2.rectangle(image, (0, 0), (479, 52), (30, 60, 140), -1)
    cv2.putText(image, title, (16, 36), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (255, 255, 255), 2)
    for row, line in enumerate(lines):
        cv2.circle(image, (26, 104 + 50 * row), 5, (30, 60, 140), -1, cv2.LINE_AA)
        cv2.putText(
            image,
            line,
            (44, 112 + 50 * row),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.75,
            (40, 40, 40),
            2,
            cv2.LINE_AA,
        )
    return image


SLIDES = [
    slide("Results of May", ("Sales up by 4 %", "Two new shops", "Staff: 31")),
    slide("Plan for June", ("Hire a baker", "Repair the oven", "Paint the door", "Rest")),
    slide("Open questions", ("Who pays the rent?", "When do we close?")),
]


def gradient(first: int, last: int) -> Image:
    level = np.linspace(first, last, 160).astype(np.uint8)
    return np.repeat(np.tile(level, (160, 1))[..., None], 3, axis=2)


def decided(verdict: Verdict) -> float:
    return verdict.probability if verdict.seen else 0.0


def test_slides_of_one_template_differ_by_their_text(verifier: Verifier) -> None:
    """Paper agrees with paper; a line of text against paper disagrees."""
    prepared = [verifier.prepare(image) for image in SLIDES]
    verdicts = [verifier.verify_prepared(*pair) for pair in permutations(prepared, 2)]
    assert sum(decided(verdict) > 0.9 for verdict in verdicts) == 0
    assert all("nothing else differs" not in verdict.reason for verdict in verdicts)


def test_a_slide_saved_again_is_a_copy(verifier: Verifier) -> None:
    encoded = cv2.imencode(".jpg", SLIDES[0], [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    again = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)
    assert decided(verifier.verify(again, SLIDES[0])) > 0.9


@pytest.mark.parametrize("share", [0.2, 0.3])
def test_a_censor_bar_is_named(verifier: Verifier, picture: Image, share: float) -> None:
    barred = picture.copy()
    height = picture.shape[0]
    barred[height // 3 : height // 3 + round(share * height)] = 0
    verdict = verifier.verify(barred, picture)
    assert verdict.evidence.added > 0.01
    assert "covered or added" in verdict.reason


@pytest.mark.parametrize("pair", [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2)])
def test_a_gradient_proves_nothing(verifier: Verifier, pair: tuple[int, int]) -> None:
    """Without a single local feature in one of the two there is no verdict (and no direction)."""
    triangle = np.full((160, 160, 3), 255, np.uint8)
    cv2.fillPoly(triangle, [np.array([[20, 140], [80, 20], [140, 140]])], (90, 90, 90))
    images = [gradient(20, 230), gradient(250, 10), triangle]
    verdict = verifier.verify(images[pair[0]], images[pair[1]])
    assert not verdict.seen
    assert verdict.direction == "none"
    assert verdict.reason == "too little structure to compare"


EDITS = {
    "crop": lambda image: image[30:160, 40:210],
    "mirror": lambda image: image[:, ::-1],
    "quarter turn": lambda image: np.rot90(image),
    "negative": lambda image: 255 - image,
    "darker": lambda image: (image * 0.5 + 20).astype(np.uint8),
    "gray": lambda image: np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2),
    "blur": lambda image: cv2.GaussianBlur(image, (0, 0), 2),
    "smaller": lambda image: cv2.resize(image, (120, 90), interpolation=cv2.INTER_AREA),
    "padded": lambda image: cv2.copyMakeBorder(
        image, 40, 40, 60, 60, cv2.BORDER_CONSTANT, value=(255, 255, 255)
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_copy_is_surer_than_another_picture(
    picture: Image, other_picture: Image, edit: str
) -> None:
    query = np.ascontiguousarray(EDITS[edit](picture))
    verifier = Verifier()
    right, wrong = verifier.verify(query, picture), verifier.verify(query, other_picture)
    assert right.probability > 0.5 > wrong.probability
    assert right.regions
    assert ("inverted" in right.reason) == (edit == "negative")


def test_the_whole_is_no_copy_of_its_crop(picture: Image) -> None:
    crop = np.ascontiguousarray(picture[30:150, 40:200])
    verifier = Verifier()
    there, back = verifier.verify(crop, picture), verifier.verify(picture, crop)
    assert there.probability > 0.5 > back.probability
    assert there.direction == "query<-reference"
    assert there.evidence.cover_reference < 0.75 < there.evidence.cover_query


def test_the_same_pair_gives_the_same_verdict(picture: Image) -> None:
    query = np.ascontiguousarray(picture[10:, 20:])
    first, second = (Verifier().verify(query, picture) for _ in range(2))
    np.testing.assert_array_equal(first.evidence.vector(), second.evidence.vector())
    assert (first.probability, first.reason) == (second.probability, second.reason)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (7, 9), (64, 64)])
def test_flat_and_tiny_images_are_answered(picture: Image, shape: tuple[int, int]) -> None:
    flat = np.full((*shape, 3), 127, np.uint8)
    for query, reference in ((flat, picture), (picture, flat), (flat, flat)):
        verdict = Verifier().verify(query, reference)
        assert 0 <= verdict.probability <= 1
        assert verdict.reason
        assert np.isfinite(verdict.evidence.vector()).all()


def long_page(seed: int) -> Image:
    """A page of ten screens: pictures of noise between lines of text."""
    rng = np.random.default_rng(seed)
    page = np.full((3600, 360, 3), 250, np.uint8)
    for top in range(0, 3600, 180):
        words = " ".join("".join(rng.choice(list("aeioklmnrst"), 6)) for _ in range(3))
        cv2.putText(page, words, (12, top + 40), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (20, 20, 20), 2)
        coarse = rng.integers(0, 256, (5, 10, 3), dtype=np.uint8)
        page[top + 60 : top + 170, 10:350] = cv2.resize(
            coarse, (340, 110), interpolation=cv2.INTER_CUBIC
        )
    return page


def test_a_screen_of_a_long_page_is_found_in_it(verifier: Verifier) -> None:
    page, other = long_page(1), long_page(2)
    screen = page[1522:2162]  # the edges cut through pictures
    assert decided(verifier.verify(screen, page)) > 0.9
    assert decided(verifier.verify(screen, other)) < 0.5
