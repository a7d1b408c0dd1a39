"""Regions: cropped where they say, stored beside the whole, and retrieved by their crops."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from asl.data.catalog import open_catalog, subset
from asl.features.cropping import cut
from asl.features.embed_options import EmbedOptions
from asl.features.extraction import extract, extract_regions
from asl.features.feature_store import FeatureStore
from asl.features.regions import REGIONS, THUMBNAIL, region_embeddings, region_path, regions_of
from asl.models import build_embedder
from asl.types import AslError, UsageError


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for number in range(4):
        coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        cv2.imwrite(
            str(folder / f"{number}.png"),
            cv2.resize(coarse, (96, 64), interpolation=cv2.INTER_CUBIC),
        )
    cv2.imwrite(str(folder / "dot.png"), np.full((1, 1, 3), 90, np.uint8))
    (folder / "broken.jpg").write_bytes(b"no image")
    return folder


def test_regions_lie_inside_and_cover_the_image() -> None:
    for name, regions in REGIONS.items():
        seen = np.zeros((100, 100), dtype=bool)
        for left, top, width, height, _ in regions:
            assert left >= 0
            assert left + width <= 1 + 1e-9
            assert top >= 0
            assert top + height <= 1 + 1e-9
            seen[
                round(top * 100) : round((top + height) * 100),
                round(left * 100) : round((left + width) * 100),
            ] = True
        assert len(set(regions)) == len(regions)
        assert name == "none" or seen.all()
    assert (len(REGIONS["coarse"]), len(REGIONS["fine"])) == (6, 15)


def test_an_unknown_set_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"^regions.*none, coarse, fine.*'huge'"):
        regions_of("huge")


def test_queries_have_no_thumbnails() -> None:
    assert THUMBNAIL in regions_of("coarse", role="references")
    assert set(regions_of("fine", role="queries")) == set(REGIONS["fine"]) - {THUMBNAIL}


def test_stores_that_were_not_equally_far_when_a_run_ended_are_filled_up(
    photos: Path, tmp_path: Path
) -> None:
    embedder = build_embedder(
        backbone="mobilenetv3_small_050", pretrained=None, pooling="gem", neck="none", size=64
    )
    catalog, parts = open_catalog(photos), REGIONS["coarse"][:3]
    options = EmbedOptions(shard_size=2, batch_size=3, max_failure_rate=0.5)
    whole = extract_regions(
        catalog, embedder, output=tmp_path / "whole", regions=parts, options=options
    )
    killed = tmp_path / "killed"
    extract_regions(
        subset(catalog, np.arange(4)), embedder, output=killed, regions=parts[:1], options=options
    )
    extract_regions(
        subset(catalog, np.arange(2)), embedder, output=killed, regions=parts[1:2], options=options
    )
    resumed = extract_regions(catalog, embedder, output=killed, regions=parts, options=options)
    for one, other in zip(whole, resumed, strict=True):
        np.testing.assert_allclose(one.embeddings().vectors, other.embeddings().vectors, atol=1e-5)
        assert one.ids.tolist() == other.ids.tolist()
        assert one.failures == other.failures


def test_a_region_is_what_its_crop_would_be(photos: Path, tmp_path: Path) -> None:
    embedder = build_embedder(
        backbone="mobilenetv3_small_050", pretrained=None, pooling="gem", neck="none", size=64
    )
    catalog, region = open_catalog(photos), REGIONS["coarse"][1]
    store = extract(catalog, embedder, output=tmp_path / "store", max_failure_rate=0.5)
    whole = store.embeddings()
    extract_regions(
        catalog,
        embedder,
        output=store.path,
        regions=(region,),
        options=EmbedOptions(max_failure_rate=0.5),
    )
    (found,) = region_embeddings(store, (region,), whole)

    crops = tmp_path / "crops"
    crops.mkdir()
    for name in whole.ids.tolist():
        cv2.imwrite(str(crops / name), cut(cv2.imread(str(photos / name)), region))
    alone = extract(open_catalog(crops), embedder, output=tmp_path / "alone").embeddings(
        whole.ids.tolist()
    )
    np.testing.assert_allclose(found.vectors, alone.vectors, atol=1e-5)
    np.testing.assert_array_equal(
        found.log_norms, whole.log_norms
    )  # direction is about the whole image
    assert [name for name, _ in FeatureStore.open(region_path(store.path, region)).failures] == [
        "broken.jpg"
    ]


def test_a_store_without_regions_says_so(photos: Path, tmp_path: Path) -> None:
    embedder = build_embedder(
        backbone="mobilenetv3_small_050", pretrained=None, pooling="gem", neck="none", size=64
    )
    store = extract(open_catalog(photos), embedder, output=tmp_path / "store", max_failure_rate=0.5)
    with pytest.raises(AslError, match="has no regions; extract it again with regions="):
        region_embeddings(store, REGIONS["coarse"], store.embeddings())
    with pytest.raises(AslError, match="preprocessing"):  # nor is a region taken for the whole
        extract(open_catalog(photos), embedder, output=store.path, region=REGIONS["coarse"][0])
