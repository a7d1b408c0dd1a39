"""Parts of an image embedded on their own: a crop is found by the part that it was cut from.

One vector speaks for a whole image, and a third of the image says little in it. So references are
also embedded part by part (the regions of Tolias et al., R-MAC, arXiv 1511.05879, as crops rather
than windows of one feature map, so that a part has the scale at which a query shows it). Query
against parts of the reference is a directional comparison of its
own: it finds the crop's photo, and not the photo's crop. A thumbnail of the reference is a part,
too: of its detail. A blurred, pixelated or much compressed copy looks more like that than like the
whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asl.data.catalog import Catalog
from asl.features.decoding import Region
from asl.features.extraction import extract_together
from asl.features.feature_store import FeatureStore
from asl.models import Embedder
from asl.types import AslError, Embeddings, UsageError


def _grid(side: float, steps: int) -> tuple[Region, ...]:
    starts = [(1.0 - side) * step / (steps - 1) for step in range(steps)]
    return tuple(
        Region(round(left, 4), round(top, 4), side, side) for top in starts for left in starts
    )


THUMBNAIL = Region(0.0, 0.0, 1.0, 1.0, pixels=24)
_LARGE: tuple[Region, ...] = (*_grid(0.7, 2), Region(0.15, 0.15, 0.7, 0.7))
# The whole image is always there besides.
REGIONS: dict[str, tuple[Region, ...]] = {
    "none": (),
    "coarse": (*_LARGE, THUMBNAIL),
    "fine": (*_LARGE, *_grid(0.5, 3), THUMBNAIL),
}


def regions_of(name: str, *, key: str = "regions", role: str = "") -> tuple[Region, ...]:
    """The regions that a configuration names.

    Args:
        name: of the set.
        key: of the configuration, for the message.
        role: ``queries`` have no thumbnails: a query of less detail than its reference is what a
            copy may be, the other way round it is not.

    Raises:
        UsageError: no such set.
    """
    if name not in REGIONS:
        raise UsageError(f"{key}: expected one of {', '.join(REGIONS)}, got {name!r}")
    return tuple(region for region in REGIONS[name] if not (role == "queries" and region.pixels))


def regions_key(regions: tuple[Region, ...]) -> str:
    """Names what a set of regions cuts out, in its order: features of parts that were cut otherwise have another key.

    >>> regions_key(REGIONS["coarse"]) == regions_key(REGIONS["fine"])
    False
    """
    return hashlib.sha256(repr([tuple(region) for region in regions]).encode()).hexdigest()[:16]


def region_path(store: str | Path, region: Region) -> Path:
    """Where the vectors of one region lie: inside the store of the whole images."""
    name = "-".join(f"{share:g}" for share in region[:4])
    return Path(store) / "regions" / (f"{name}-{region.pixels}px" if region.pixels else name)


def extract_regions(
    catalog: Catalog,
    embedder: Embedder,
    *,
    output: str | Path,
    regions: tuple[Region, ...],
    **options: Any,
) -> list[FeatureStore]:
    """Embed regions of every image, one store each, under the store of the whole images.

    Args:
        catalog: images.
        embedder: the model.
        output: folder of the store of the whole images.
        regions: which parts.
        options: of :func:`asl.features.extraction.extract_together`.

    Returns:
        One store a region; each is continued where it stopped.
    """
    return extract_together(
        catalog, embedder, {region_path(output, region): region for region in regions}, **options
    )


def region_embeddings(
    store: FeatureStore, regions: tuple[Region, ...], whole: Embeddings
) -> list[Embeddings]:
    """The vectors of regions with the log-norms of the whole images, whose content direction is about.

    Args:
        store: of the whole images.
        regions: which parts.
        whole: the embeddings of the images that count, in their order.

    Raises:
        AslError: the regions were not extracted, or not for every image.
    """
    found = []
    for region in regions:
        path = region_path(store.path, region)
        if not FeatureStore.is_store(path):
            raise AslError(
                f"{store.path}: has no regions; extract it again with regions=, or search with regions=none"
            )
        own = FeatureStore.open(path)
        _check_same(own, store.stamps(), whole.ids.tolist())
        part = own.embeddings(whole.ids.tolist())
        found.append(type(part)(part.ids, part.vectors, whole.log_norms))
    return found


def _check_same(part: FeatureStore, whole: Mapping[str, str | None], names: list[str]) -> None:
    """Parts and whole are of the same bytes, as far as their stamps say."""
    own = part.stamps()
    states = ((name, own.get(name), whole.get(name)) for name in names)
    other = [
        name
        for name, one, two in states
        if one and two and one.partition(":")[2] != two.partition(":")[2]
    ]
    if other:
        raise AslError(
            f"{part.path}: {len(other)} image(s) were other ones, e.g. {other[0]!r}; extract again with regions="
        )
