"""Changed images are embedded again, the same ones are not, wherever they are stored."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from asl.data.catalog import open_catalog, subset
from asl.data.scenes import render_scene
from asl.features import FeatureStore, extract
from asl.features.array_jobs import join_parts
from asl.features.cropping import Region
from asl.features.embed_options import EmbedOptions
from asl.features.extraction import extract_regions
from asl.models import Embedder, build_embedder

NAMES = [f"{number}.png" for number in range(6)]


def draw(folder: Path, first: int = 0) -> Path:
    folder.mkdir()
    for number, name in enumerate(NAMES):
        cv2.imwrite(
            str(folder / name), render_scene(first + number, height=60, width=80)[..., ::-1]
        )
    return folder


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return build_embedder(backbone="mobilenetv3_small_050", size=48, dim=8).eval()


def embed(
    folder: Path, embedder: Embedder, output: Path, **options: object
) -> tuple[FeatureStore, int]:
    """The store, and how many images were embedded for it."""
    done = [0]
    store = extract(
        open_catalog(folder),
        embedder,
        output=output,
        shard_size=4,
        progress=lambda one, _: done.__setitem__(0, one),
        **options,
    )
    return store, done[0]


def vectors(store: FeatureStore, names: list[str]) -> np.ndarray:
    return store.embeddings(names).vectors


def test_other_images_of_the_same_names_are_embedded(embedder: Embedder, tmp_path: Path) -> None:
    first, second = draw(tmp_path / "a"), draw(tmp_path / "b", 100)
    embed(first, embedder, tmp_path / "s")
    store, done = embed(second, embedder, tmp_path / "s")
    assert done == 6
    fresh, _ = embed(second, embedder, tmp_path / "fresh")
    assert store.ids.tolist() == fresh.ids.tolist()
    assert len(store) == len(store.features()) == 6
    np.testing.assert_allclose(store.features(), fresh.features(), atol=1e-5)
    store.verify()
    assert embed(second, embedder, tmp_path / "s")[1] == 0


def test_an_image_that_was_changed_in_place_is_embedded_again(
    embedder: Embedder, tmp_path: Path
) -> None:
    folder = draw(tmp_path / "a")
    before = vectors(embed(folder, embedder, tmp_path / "s")[0], NAMES)
    cv2.imwrite(str(folder / "2.png"), render_scene(77, height=60, width=80)[..., ::-1])
    store, done = embed(folder, embedder, tmp_path / "s")
    assert done == 1
    after = vectors(FeatureStore.open(store.path), NAMES)
    same = [0, 1, 3, 4, 5]
    np.testing.assert_array_equal(after[same], before[same])
    assert after[2] @ before[2] < 0.999


def test_a_folder_that_was_moved_or_copied_is_the_same(embedder: Embedder, tmp_path: Path) -> None:
    folder = draw(tmp_path / "a")
    before = {
        path.name: path.read_bytes()
        for path in embed(folder, embedder, tmp_path / "s")[0].path.iterdir()
    }
    folder.rename(tmp_path / "moved")
    assert embed(tmp_path / "moved", embedder, tmp_path / "s")[1] == 0
    shutil.copytree(tmp_path / "moved", tmp_path / "copied", copy_function=shutil.copyfile)
    for path in (tmp_path / "copied").iterdir():
        os.utime(path, (1, 1))
    assert embed(tmp_path / "copied", embedder, tmp_path / "s")[1] == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "s").iterdir()} == before


def test_an_archive_that_grew_gives_only_what_is_new(embedder: Embedder, tmp_path: Path) -> None:
    folder, archive = draw(tmp_path / "a"), tmp_path / "a.tar"
    for mode, names in (("w", NAMES[:4]), ("a", NAMES[4:])):
        with tarfile.open(archive, mode) as file:
            for name in names:
                file.add(folder / name, arcname=name)
        assert embed(archive, embedder, tmp_path / "s")[1] == len(names)
    with tarfile.open(archive, "w") as file:
        for name, other in zip(NAMES, [NAMES[1], *NAMES[1:]], strict=True):
            file.add(folder / other, arcname=name)
    assert embed(archive, embedder, tmp_path / "s")[1] == 1, "the first one is another image now"


def test_an_image_may_break_and_be_repaired(embedder: Embedder, tmp_path: Path) -> None:
    folder = draw(tmp_path / "a")
    whole = embed(folder, embedder, tmp_path / "s")[0].features()
    data = (folder / "5.png").read_bytes()
    (folder / "5.png").write_bytes(data[:50])
    store, done = embed(folder, embedder, tmp_path / "s", max_failure_rate=1.0)
    assert (done, len(store), [name for name, _ in store.failures]) == (1, 5, ["5.png"])
    (folder / "5.png").write_bytes(data)
    store, done = embed(folder, embedder, tmp_path / "s")
    assert (done, len(store), store.failures) == (1, 6, [])
    np.testing.assert_allclose(store.features(), whole, atol=1e-5)


def test_regions_follow_their_images(embedder: Embedder, tmp_path: Path) -> None:
    folder, region = draw(tmp_path / "a"), Region(0.0, 0.0, 0.5, 0.5)
    (before,) = extract_regions(
        open_catalog(folder),
        embedder,
        output=tmp_path / "s",
        regions=(region,),
        options=EmbedOptions(),
    )
    cv2.imwrite(str(folder / "2.png"), render_scene(77, height=60, width=80)[..., ::-1])
    (after,) = extract_regions(
        open_catalog(folder),
        embedder,
        output=tmp_path / "s",
        regions=(region,),
        options=EmbedOptions(),
    )
    cosines = np.einsum("nd,nd->n", vectors(before, NAMES), vectors(after, NAMES))
    assert np.flatnonzero(cosines < 0.999).tolist() == [2]


def test_parts_that_replaced_images_are_joined(embedder: Embedder, tmp_path: Path) -> None:
    folder = draw(tmp_path / "a")
    for _ in range(2):
        catalog = open_catalog(folder)
        parts = [
            extract(
                subset(catalog, rows), embedder, output=tmp_path / f"part{rows[0]}", shard_size=2
            )
            for rows in ([0, 1, 2, 3], [4, 5])
        ]
        cv2.imwrite(str(folder / "1.png"), render_scene(77, height=60, width=80)[..., ::-1])
    joined, (whole, _) = (
        join_parts(tmp_path / "joined", parts),
        embed(folder, embedder, tmp_path / "whole"),
    )
    assert sorted(joined.ids.tolist()) == NAMES
    np.testing.assert_allclose(vectors(joined, NAMES), vectors(whole, NAMES), atol=1e-5)


def test_a_store_without_stamps_goes_by_names(embedder: Embedder, tmp_path: Path) -> None:
    folder = draw(tmp_path / "a")
    store, _ = embed(folder, embedder, tmp_path / "s")
    old = FeatureStore.create(
        tmp_path / "old",
        model=store.manifest["model"],
        dim=8,
        preprocessing=store.manifest["preprocessing"],
    )
    old.add(NAMES[:5], store.features()[:5], [])
    assert set(old.stamps().values()) == {None}
    again, done = embed(folder, embedder, tmp_path / "old")
    assert done == 1
    np.testing.assert_allclose(again.features(), store.features(), atol=1e-5)
