"""Candidates by local features: crops, pastes, mirrors, negatives; files and failures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from asl.matching.candidates import local_features as local_features_module
from asl.matching.candidates.local_candidates import LocalCandidates, local_candidates
from asl.matching.run.disk_cache import Cache
from asl.matching.values import Settings
from asl.types import AslError
from tests.matching.conftest import Image, textured

REFERENCES = {f"r{number}": number for number in range(6)}


def load_reference(name: str) -> Image:
    if name == "broken":
        raise AslError("broken: is no image")
    return textured(REFERENCES[name])


def load_query(name: str) -> Image:
    kind, number = name.split("-")
    picture = textured(int(number))
    height, width = picture.shape[:2]
    if kind == "crop":
        return np.ascontiguousarray(
            picture[height // 3 : 2 * height // 3, width // 3 : 2 * width // 3]
        )
    if kind == "paste":
        scene = textured(77).copy()
        small = cv2.resize(picture, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        scene[20 : 20 + height // 2, 30 : 30 + width // 2] = small
        return scene
    if kind == "mirror":
        return np.ascontiguousarray(picture[:, ::-1])
    if kind == "negative":
        return np.ascontiguousarray(255 - picture)
    return picture


def find(
    queries: list[str], references: list[str] | None = None, **options: object
) -> LocalCandidates:
    names = np.array(references or list(REFERENCES))
    return local_candidates(
        np.array(queries),
        names,
        load_query=load_query,
        load_reference=load_reference,
        **{"workers": 0, **options},
    )  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["whole", "crop", "paste", "mirror", "negative"])
def test_what_was_made_from_a_reference_finds_it(kind: str) -> None:
    found = find([f"{kind}-2", f"{kind}-5"], k=1)
    assert found.failures == {}
    assert list(zip(found.pairs.query_ids, found.pairs.reference_ids, strict=True)) == [
        (f"{kind}-2", "r2"),
        (f"{kind}-5", "r5"),
    ]


def test_lists_are_cut_at_k_and_surest_first() -> None:
    pairs = find(["whole-0", "crop-3"], k=2).pairs
    assert np.bincount(pairs.query_index).max() <= 2
    for query in range(2):
        votes = pairs.scores[pairs.query_index == query]
        assert np.all(votes > 0)
        assert np.all(np.diff(votes) <= 0)
    with pytest.raises(AslError, match="k: must be 1 or more"):
        find(["whole-0"], k=0)


def test_what_cannot_be_read_is_listed_and_the_rest_stands() -> None:
    found = find(["crop-1"], ["r0", "broken", "r1"], k=1)
    assert found.failures == {"reference:broken": "broken: is no image"}
    assert found.pairs.reference_ids.tolist() == ["r1"]


def test_any_number_of_processes_gives_the_same() -> None:
    alone, both = (
        find(["crop-1", "paste-4", "mirror-0"], workers=workers).pairs for workers in (0, 2)
    )
    for name in ("query_index", "reference_index", "scores"):
        np.testing.assert_array_equal(getattr(alone, name), getattr(both, name))


def test_kept_indexes_belong_to_their_references_and_settings(tmp_path: Path) -> None:
    keep, read = tmp_path / "local.npz", []
    first = find(["crop-1"], keep=keep).pairs
    again = find(["crop-1"], keep=keep, progress=lambda done, total: read.append(total)).pairs
    np.testing.assert_array_equal(first.scores, again.scores)
    assert set(read) == {1}, "only the query is read"
    assert find(["crop-1"], ["r1", "r2"], keep=keep, k=1).pairs.reference_ids.tolist() == ["r1"]
    other: list[int] = []
    find(
        ["crop-1"],
        ["r1", "r2"],
        keep=keep,
        settings=Settings(features=100),
        progress=lambda _, n: other.append(n),
    )
    assert set(other) == {3}


def test_a_kept_index_belongs_to_its_collection(tmp_path: Path) -> None:
    keep = tmp_path / "local.npz"
    find(["crop-1"], keep=keep, collection="before")
    read: list[int] = []
    find(["crop-1"], keep=keep, collection="after", progress=lambda _, total: read.append(total))
    assert set(read) == {1 + len(REFERENCES)}, "the references are read again"


def test_an_index_that_lacks_a_reference_or_has_no_place_is_not_kept(tmp_path: Path) -> None:
    keep = tmp_path / "local.npz"
    assert set(find(["crop-1"], ["r1", "broken"], keep=keep).failures) == {"reference:broken"}
    assert not keep.exists(), "the image may be readable the next time"
    (tmp_path / "file").write_text("in the way")
    found = find(["crop-1"], ["r1", "r2"], keep=tmp_path / "file" / "local.npz", k=1)
    assert found.pairs.reference_ids.tolist() == ["r1"]


def test_local_features_of_references_are_kept_for_the_verifier(tmp_path: Path) -> None:
    find(["crop-1"], cache=tmp_path, collection="here")
    assert Cache(tmp_path, Settings(), "here").get("reference", "r1") is not None
    assert Cache(tmp_path, Settings(), "here").get("query", "crop-1") is None


def test_loaders_must_reach_other_processes() -> None:
    with pytest.raises(AslError, match="cannot be sent to other processes"):
        local_candidates(
            np.array(["whole-1"]),
            np.array(["r1"]),
            load_query=lambda name: textured(0),
            load_reference=load_reference,
            workers=2,
        )


@pytest.fixture
def coded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code the features of any number of references."""
    monkeypatch.setattr(local_features_module, "EXACT_REFERENCES", 0)


@pytest.mark.usefixtures("coded")
@pytest.mark.parametrize("kind", ["whole", "crop", "paste", "mirror", "negative"])
def test_coded_references_are_found_as_well(kind: str) -> None:
    found = find([f"{kind}-2", f"{kind}-5"], k=1)
    assert found.pairs.reference_ids.tolist() == ["r2", "r5"]


@pytest.mark.usefixtures("coded")
def test_a_coded_index_reads_what_is_new_or_has_changed(tmp_path: Path) -> None:
    keep = tmp_path / "local.npz"
    every = list(REFERENCES)

    def images_to_do(references: list[str], **options: object) -> int:
        totals: list[int] = []
        find(
            ["crop-1"],
            references,
            keep=keep,
            progress=lambda done, total: totals.append(total - done),
            **options,
        )
        return totals[0]  # without the first, of itself

    first = dict(zip(every, "abcdef", strict=True))
    versions = [first[name] for name in every]
    assert images_to_do(every[:4], versions=versions[:4]) == 4
    assert images_to_do(every, versions=versions, collection="another") == 2
    assert images_to_do(every, versions=versions) == 0
    assert images_to_do(every, versions=["z", *versions[1:]]) == 1, "it has changed"
    assert images_to_do(["r5", "r1"], versions=["f", "b"]) == 0
    assert images_to_do(every, versions=versions, settings=Settings(features=100)) == 6
    assert [path.name for path in tmp_path.iterdir()] == ["local.codes"]
    pairs = find(["crop-1"], every, versions=versions, keep=keep, k=1).pairs
    assert pairs.reference_ids.tolist() == ["r1"]


@pytest.mark.parametrize("most_exact", [0, 99], ids=["coded", "exact"])
def test_searches_that_rebuild_one_index_for_each_other_say_so_in_one_line(
    most_exact: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(local_features_module, "EXACT_REFERENCES", most_exact)
    keep, some, others = tmp_path / "local.npz", ["r0", "r1", "r2"], ["r3", "r4", "r5"]
    for _ in range(2):
        find(["crop-1"], some, keep=keep)
    assert not caplog.messages
    for references in (others, some, others):
        find(["crop-1"], references, keep=keep)
    assert caplog.messages == [
        f"{tmp_path}: its local features are of other references, or of images that have changed, "
        "and are built again; if searches of different references take turns here, give each a "
        "folder of its own (local_index=)"
    ]


@pytest.mark.usefixtures("coded")
def test_unreadable_references_are_listed_and_asked_for_again(tmp_path: Path) -> None:
    for _ in range(2):
        names = [*REFERENCES, "broken"]
        found = find(["crop-1"], names, k=1, keep=tmp_path / "local.npz")
        assert found.failures == {"reference:broken": "broken: is no image"}
        assert found.pairs.reference_ids.tolist() == ["r1"]
