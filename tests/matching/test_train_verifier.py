"""The pairs the decision is fitted on: labelled in the right direction, the same for a seed; frames are no copies."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from asl.data.catalog import open_catalog
from asl.edits.geometric import Crop, Pad
from asl.matching.evidence import examine
from asl.matching.prepare import prepare
from asl.matching.values import EVIDENCE, Settings

from .conftest import Image, textured

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
train_verifier = pytest.importorskip("train_verifier", reason="scripts/ is not beside the tests")


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> object:
    folder = tmp_path_factory.mktemp("photos")
    for number in range(4):
        cv2.imwrite(str(folder / f"{number}.png"), textured(number)[..., ::-1])
    recipes = {"pad": Pad(share=(0.3, 0.4)), "crop": Crop(area=(0.3, 0.5))}
    return train_verifier.Maker((open_catalog(folder),), recipes, 0, Settings())


def value(found: tuple[np.ndarray, bool, str, int], name: str) -> float:
    return float(found[0][EVIDENCE.index(name)])


def test_labels_and_direction_of_every_kind(maker: object) -> None:
    look = maker.look  # type: ignore[attr-defined]
    copy, look_alike = look(train_verifier.Task(0, 0, "copy", "crop", (1,)))
    assert (copy[1:], look_alike[1:]) == ((True, "copy", 0), (False, "look-alike", 0))
    assert value(copy, "cover_query") > 0.9 > value(copy, "cover_reference")  # a crop lies inside its photograph
    assert value(look_alike, "inliers") < value(copy, "inliers")

    (reverse,) = look(train_verifier.Task(1, 0, "reverse", "", ()))
    assert reverse[1:] == (False, "reverse", 1)
    assert value(reverse, "cover_query") < 0.9 < value(reverse, "cover_reference")

    padded, back = look(train_verifier.Task(2, 0, "copy", "pad", ()))
    assert (padded[1:], back[1:]) == ((True, "copy", 2), (False, "reverse copy", 2))
    assert value(padded, "cover_query") < 0.75 < value(padded, "cover_reference")
    assert value(back, "cover_reference") < 0.75 < value(back, "cover_query")


def test_a_query_is_the_same_for_its_seed_and_number(maker: object) -> None:
    look = maker.look  # type: ignore[attr-defined]
    first, again, other = (look(train_verifier.Task(0, number, "frame", "", ()))[0][0] for number in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_no_single_map_explains_a_frame(picture: Image) -> None:
    settings = Settings()
    reference = prepare(picture, settings)
    edited = cv2.GaussianBlur(picture, (0, 0), 0.8)
    copy = examine(prepare(edited, settings), reference, settings).evidence
    for seed in range(5):
        frame = train_verifier.next_frame(picture, np.random.default_rng(seed))
        assert frame.shape == picture.shape
        evidence = examine(prepare(frame, settings), reference, settings).evidence
        assert evidence.corr_low < 0.6 < copy.corr_low


def test_thresholds_hold_their_precision() -> None:
    rng = np.random.default_rng(0)
    probability = rng.random(5000)
    labels = rng.random(5000) < probability**2
    rows = train_verifier.thresholds(probability, labels)
    assert [row["precision"] for row in rows][:2] == [0.5, 0.75]
    for row in rows:
        above = probability >= row["threshold"]
        assert labels[above].mean() >= row["precision"]
        assert labels[above].sum() / labels.sum() == pytest.approx(row["recall"])
