"""Roles of a search are checked before they are opened, and opened before images are embedded."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from asl.data.scenes import render_scene
from asl.features.embed_options import EmbedOptions
from asl.features.feature_store import FeatureStore
from asl.index.saved_index import SavedIndex
from asl.models import build_embedder, model_hash, save_embedder
from asl.pipeline.input_loader import InputLoader, InputSources
from asl.types import AslError, UsageError


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    torch.manual_seed(0)
    embedder = build_embedder(backbone="mobilenetv3_small_050", size=32, dim=8).eval()
    save_embedder(embedder, folder / "m.safetensors", card={})
    rng = np.random.default_rng(0)
    for name in ("first", "second"):
        store = FeatureStore.create(
            folder / name, model=model_hash(embedder), dim=8, preprocessing={}
        )
        store.add([f"r{n}" for n in range(5)], rng.normal(size=(5, 8)), [])
    store = FeatureStore.open(folder / "first")
    SavedIndex.create(folder / "index", store.pieces(), model=store.manifest["model"])
    (folder / "photos").mkdir()
    for number in range(3):
        scene = render_scene(number, height=48, width=64)[..., ::-1]
        cv2.imwrite(str(folder / "photos" / f"q{number}.png"), scene)
    (folder / "photos" / "broken.png").write_bytes(b"no image")
    (folder / "photos" / "layers.psd").write_bytes(b"")
    return folder


@pytest.fixture
def sources(files: Path, tmp_path: Path) -> InputSources:
    return InputSources(
        queries=str(files / "photos"),
        references=str(files / "first"),
        background=None,
        query_images=None,
        reference_images=None,
        local_index=None,
        query_regions="none",
        reference_regions="none",
        model=str(files / "m.safetensors"),
        features=tmp_path / "features",
        id_style="stem",
        options=EmbedOptions(workers=0, max_failure_rate=0.5),
    )


@pytest.mark.parametrize("role", ["references", "background"])
def test_features_of_another_model_beside_the_output_are_refused_before_the_queries(
    sources: InputSources, files: Path, role: str
) -> None:
    given = replace(sources, references=str(files / "photos"), background=str(files / "more"))
    shutil.copytree(files / "photos", files / "more", dirs_exist_ok=True)
    FeatureStore.create(sources.features / role, model="ab" * 32, dim=8, preprocessing={})
    with pytest.raises(AslError, match=rf"{role}: was made with .*, not with .*or choose another"):
        InputLoader(given)
    assert not (sources.features / "queries").exists()


def test_images_are_embedded_when_they_are_opened(
    sources: InputSources, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loader = InputLoader(sources)
    assert not sources.features.exists()
    assert not loader.has_images, "the references are features only"
    inputs = loader.open()
    assert inputs.queries.ids.tolist() == ["q0", "q1", "q2"]
    assert inputs.references.ids.tolist() == [f"r{n}" for n in range(5)]
    assert inputs.query_images is not None
    assert inputs.reference_images is None
    assert inputs.model == loader.model == FeatureStore.open(files / "first").manifest["model"]
    assert inputs.local_index == files / "first" / "local.npz"
    printed = capsys.readouterr().err
    assert "queries: 1 image is left out, e.g. broken" in printed
    assert "queries: skipped 1 .psd (formats this cannot read)" in printed


def test_missing_regions_are_refused_before_queries_are_embedded(sources: InputSources) -> None:
    loader = InputLoader(replace(sources, reference_regions="coarse"))
    with pytest.raises(AslError, match="has no regions"):
        loader.open()
    assert not sources.features.exists()


def test_an_index_and_joined_stores_open_as_references(sources: InputSources, files: Path) -> None:
    one = f"{files / 'first'}"
    loader = InputLoader(replace(sources, queries=one, references=str(files / "index")))
    assert sorted(loader.open().references.ids.tolist()) == [f"r{n}" for n in range(5)]
    joined = f"{one}+{files / 'second'}"
    inputs = InputLoader(replace(sources, queries=joined, references=joined)).open()
    assert inputs.queries.dim == 16
    assert inputs.model.count("+") == 1


def test_the_name_of_a_folder_may_have_a_number_sign(
    sources: InputSources, files: Path, tmp_path: Path
) -> None:
    """Only in an address of Milvus does # name a collection."""
    references = tmp_path / "photos#2"
    shutil.copytree(files / "first", references)
    inputs = InputLoader(replace(sources, queries=str(references), references=str(references)))
    assert inputs.open().local_index == references / "local.npz"


def test_sizes_of_a_background_are_known_before_it_is_opened(
    sources: InputSources, files: Path
) -> None:
    assert InputLoader(sources).background_size is None
    queries = str(files / "first")
    for background, count in ((files / "second", 5), (files / "photos", 4)):
        changed = replace(sources, queries=queries, background=str(background))
        assert InputLoader(changed).background_size == (count, 8)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"queries": "gone"}, "queries: there is no gone"),
        ({"queries": "milvus+x.db"}, r"queries: only references may be stored in Milvus, got milv"),
        ({"query_images": "x"}, "queries: .*photos holds the images already, got x beside it"),
        ({"reference_images": "gone"}, "query_images, reference_images: there is no gone"),
    ],
)
def test_a_source_that_a_role_cannot_have_is_refused(
    sources: InputSources, keys: dict[str, str], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        InputLoader(replace(sources, **keys))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["first", "index"])
def test_damaged_files_are_found_before_anything_is_embedded(
    sources: InputSources, files: Path, tmp_path: Path, name: str
) -> None:
    copy = tmp_path / name
    shutil.copytree(files / name, copy)
    InputLoader(replace(sources, references=str(copy), check_files=True))
    pattern = "shard-*.npy" if name == "first" else "*.vectors.npy"
    vectors = next(copy.glob(pattern))
    content = bytearray(vectors.read_bytes())
    content[-5] ^= 1
    vectors.write_bytes(content)
    with pytest.raises(AslError, match=copy.name):
        InputLoader(replace(sources, references=str(copy), check_files=True))
    assert not sources.features.exists()
