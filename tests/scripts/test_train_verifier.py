"""Pairs that the decision is fitted on: labels, directions, seeds; frames are no copies."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from asl.data.catalog import open_catalog
from asl.edits.engine.foreign_images import Pool
from asl.edits.geometric import Crop, Pad
from asl.matching import Verifier
from asl.matching.align.prepare import prepare
from asl.matching.evidence.examine import examine
from asl.matching.values import EVIDENCE, Settings
from tests.matching.conftest import Image, textured

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
train_verifier = pytest.importorskip("train_verifier", reason="scripts/ is not beside the tests")
import verifier_queries  # noqa: E402


@pytest.fixture(scope="module")
def picture() -> Image:
    return textured(1)


@pytest.fixture(scope="module")
def looker(
    tmp_path_factory: pytest.TempPathFactory,
) -> train_verifier.Looker:  # type: ignore[name-defined]
    folder = tmp_path_factory.mktemp("photos")
    for number in range(4):
        cv2.imwrite(str(folder / f"{number}.png"), textured(number)[..., ::-1])
    recipes = {"pad": Pad(share=(0.3, 0.4)), "crop": Crop(area=(0.3, 0.5))}
    maker = verifier_queries.Maker((open_catalog(folder),), recipes, 0)
    return train_verifier.Looker(maker, tmp_path_factory.mktemp("queries"), Verifier())


def looked(
    looker: object, *task: object, others: tuple[int, ...] = ()
) -> list[tuple[np.ndarray, bool, str, int]]:
    made = verifier_queries.Task(*task)
    return looker.look((made, looker.write(made), others))  # type: ignore[attr-defined]


def value(found: tuple[np.ndarray, bool, str, int], name: str) -> float:
    return float(found[0][EVIDENCE.index(name)])


def test_labels_and_direction_of_every_kind(looker: object) -> None:
    copy, look_alike = looked(looker, 0, 0, "copy", "crop", others=(1,))
    assert (copy[1:], look_alike[1:]) == ((True, "copy", 0), (False, "look-alike", 0))
    assert (
        value(copy, "cover_query") > 0.9 > value(copy, "cover_reference")
    )  # a crop lies inside its photograph
    assert value(look_alike, "inliers") < value(copy, "inliers")

    (reverse,) = looked(looker, 1, 0, "reverse")
    assert reverse[1:] == (False, "reverse", 1)
    assert value(reverse, "cover_query") < 0.9 < value(reverse, "cover_reference")

    padded, back = looked(looker, 2, 0, "copy", "pad")
    assert (padded[1:], back[1:]) == ((True, "copy", 2), (False, "reverse copy", 2))
    assert value(padded, "cover_query") < 0.75 < value(padded, "cover_reference")
    assert value(back, "cover_reference") < 0.75 < value(back, "cover_query")


@pytest.mark.parametrize("kind", verifier_queries.MOUNTS)
def test_a_mount_is_the_same_around_any_photograph(looker: object, kind: str) -> None:
    maker = looker.maker  # type: ignore[attr-defined]
    photos = [maker.photo(row) for row in (0, 1)]

    def mounted(row: int, number: int) -> Image:
        rng, foreign = np.random.default_rng(number), Pool(photos, decode=lambda photo: photo)
        return verifier_queries.mount(photos[row], rng, foreign=foreign, kind=kind)

    alike = (np.abs(photos[0].astype(int) - photos[1]).max(axis=2) <= 2).mean()
    same = [
        (np.abs(mounted(0, n).astype(int) - mounted(1, n)).max(axis=2) <= 2).mean()
        for n in range(8)
    ]
    assert min(same) > alike
    assert np.mean(same) > alike + 0.03
    assert any(
        mounted(0, 0).shape != mounted(0, n).shape or np.any(mounted(0, 0) != mounted(0, n))
        for n in (1, 2)
    )


def test_a_mount_stays_where_it_is_when_the_scene_moves(looker: object) -> None:
    maker = looker.maker  # type: ignore[attr-defined]
    tasks = [verifier_queries.Task(0, number, "frame", "", True) for number in range(40)]
    task = next(task for task in tasks if _top_is_flat(maker.reference(task)))
    frame = cv2.imdecode(np.frombuffer(maker.query(task)[0], np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    reference = maker.reference(task)
    assert frame.shape == reference.shape
    assert np.abs(frame[:2].astype(int) - reference[:2]).mean() < 6, "but for the JPEG"
    assert np.abs(frame.astype(int) - reference).mean() > 6
    assert looked(looker, 0, 2, "copy", "crop", True, others=(1,))[1][1:] == (
        False,
        "same mount",
        0,
    )


def _top_is_flat(image: Image) -> bool:
    return bool(np.ptp(image[:4].astype(int), axis=(0, 1)).max() == 0)


def test_a_photograph_that_is_there_twice_is_no_look_alike(looker: object) -> None:
    assert [pair[2] for pair in looked(looker, 0, 1, "copy", "crop", others=(0,))] == ["copy"]


def test_a_query_is_the_same_for_its_seed_and_number(looker: object) -> None:
    first, again, other = (looked(looker, 0, number, "frame")[0][0] for number in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_what_is_pasted_on_queries_is_never_a_query_or_a_reference(looker: object) -> None:
    rows = verifier_queries.sources_of(40)
    aside = set(range(40)) - set(rows)
    assert len(aside) == 5
    tasks = list(verifier_queries.plan(rows, queries=3, seed=0))
    assert {task.source for task in tasks} == set(rows)
    assert {task.kind for task in tasks} == {"copy", "reverse", "frame"}


def test_proposals_are_other_photographs(looker: object) -> None:
    tasks = [verifier_queries.Task(number, 0, "copy", "crop") for number in (0, 2)]
    folder = looker.folder  # type: ignore[attr-defined]
    for file in folder.iterdir():
        file.unlink()
    for task in tasks:
        looker.write(task)  # type: ignore[attr-defined]
    found = train_verifier.propose(looker, tasks, [0, 1, 2, 3], each=1, workers=1)
    assert all(0 not in others for others in found[:1])
    assert 2 not in found[1]
    assert all(1 <= len(others) <= 3 for others in found)


def test_no_single_map_explains_a_frame(picture: Image) -> None:
    settings = Settings()
    reference = prepare(picture, settings)
    edited = cv2.GaussianBlur(picture, (0, 0), 0.8)
    copy = examine(prepare(edited, settings), reference, settings).evidence
    for seed in range(5):
        frame = verifier_queries.next_frame(picture, np.random.default_rng(seed))
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


@pytest.fixture(scope="module")
def drawn_looker(
    tmp_path_factory: pytest.TempPathFactory,
) -> train_verifier.Looker:  # type: ignore[name-defined]
    """Two photographs, then three pictures of one template and one of another."""
    folders = [tmp_path_factory.mktemp(name) for name in ("photos", "drawn")]
    names = ["page-00-00", "page-00-01", "page-00-02", "page-01-00"]
    for folder, stems in zip(folders, (["0", "1"], names), strict=True):
        for number, stem in enumerate(stems):
            cv2.imwrite(str(folder / f"{stem}.png"), textured(number)[..., ::-1])
    catalogs = tuple(open_catalog(folder) for folder in folders)
    recipes = {"drawn": Crop(area=(0.5, 0.6))}
    maker = verifier_queries.Maker(catalogs, recipes, 0, catalogs[1])
    return train_verifier.Looker(maker, tmp_path_factory.mktemp("queries"), Verifier())


def test_drawn_pictures_have_edits_of_their_own_and_no_frames(drawn_looker: object) -> None:
    first = drawn_looker.maker.first_drawn  # type: ignore[attr-defined]
    assert first == 2
    rows = list(range(40))
    tasks = list(verifier_queries.plan(rows, queries=4, seed=0, first_drawn=first + 10))
    drawn = [task for task in tasks if task.source >= 12]
    assert {task.kind for task in drawn} == {"copy", "reverse"}
    assert not any(task.mounted for task in drawn)
    recipes = {task.recipe for task in drawn if task.kind == "copy"}
    assert recipes <= set(verifier_queries.DRAWN_RECIPES)
    assert {task.kind for task in tasks if task.source < 12} == {"copy", "reverse", "frame"}


def test_others_of_a_template_are_negatives_however_alike(drawn_looker: object) -> None:
    maker = drawn_looker.maker  # type: ignore[attr-defined]
    templates = [maker.template(row) for row in range(6)]
    assert templates == ["", "", *["page-00"] * 3, "page-01"]
    task = verifier_queries.Task(2, 0, "copy", "drawn")
    assert sorted(train_verifier.siblings(maker, task, list(range(6)), 9)) == [3, 4]
    assert len(train_verifier.siblings(maker, task, list(range(6)), 1)) == 1
    photo = verifier_queries.Task(0, 0, "copy", "drawn")
    assert train_verifier.siblings(maker, photo, list(range(6)), 9) == []
    kinds = [pair[2] for pair in looked(drawn_looker, 2, 0, "copy", "drawn", others=(1, 3, 5))]
    assert kinds == ["copy", "look-alike", "same template", "look-alike"]


def test_a_limit_keeps_that_many_of_a_folder(looker: object) -> None:
    catalog = looker.maker.catalogs[0]  # type: ignore[attr-defined]
    few = train_verifier.limited(catalog, 2, seed=0)
    assert set(few.ids.tolist()) < set(catalog.ids.tolist())
    assert len(few) == 2
    assert train_verifier.limited(catalog, 0, seed=0) is catalog
