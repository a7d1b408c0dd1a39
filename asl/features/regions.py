"""Embed regions of images: a crop is retrieved by the region that it was cut from.

One vector describes a whole image, and a third of the image contributes little to it. References
are therefore also embedded by region (the regions of R-MAC, Tolias et al., arXiv 1511.05879, as
crops instead of windows of one feature map, so that a region has the scale at which a query shows
it). Comparing a query with regions of the reference is directional by itself: it finds the original
of a crop, not the crop of an original. A thumbnail of the reference counts as a region, too:
blurred, pixelated or strongly compressed copies resemble it more than the whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from asl.counts import counted
from asl.features.cropping import Region
from asl.features.feature_store import FeatureStore
from asl.types import AslError, Embeddings, UsageError


def _grid(side: float, steps: int) -> tuple[Region, ...]:
    starts = [(1.0 - side) * step / (steps - 1) for step in range(steps)]
    return tuple(
        Region(round(left, 4), round(top, 4), side, side) for top in starts for left in starts
    )


THUMBNAIL = Region(0.0, 0.0, 1.0, 1.0, pixels=24)
_LARGE: tuple[Region, ...] = (*_grid(0.7, 2), Region(0.15, 0.15, 0.7, 0.7))
# In addition to the whole image.
REGIONS: dict[str, tuple[Region, ...]] = {
    "none": (),
    "coarse": (*_LARGE, THUMBNAIL),
    "fine": (*_LARGE, *_grid(0.5, 3), THUMBNAIL),
}


def regions_of(name: str, *, role: str = "") -> tuple[Region, ...]:
    """Return a named set of regions.

    Args:
        name: ``none``, ``coarse`` or ``fine``.
        role: ``queries`` get no thumbnails: a copy may have less detail than its original, not
            more.

    Raises:
        UsageError: no such set.
    """
    if name not in REGIONS:
        raise UsageError(f"regions: expected one of {', '.join(REGIONS)}, got {name!r}")
    return tuple(region for region in REGIONS[name] if not (role == "queries" and region.pixels))


def regions_key(regions: tuple[Region, ...]) -> str:
    """Return a key (16 hexadecimal digits) of a set of regions; other crops have another key.

    >>> regions_key(REGIONS["coarse"]) == regions_key(REGIONS["fine"])
    False
    """
    return hashlib.sha256(repr([tuple(region) for region in regions]).encode()).hexdigest()[:16]


def region_path(store: str | Path, region: Region) -> Path:
    """Return the folder of a region's features, inside the store of the whole images."""
    name = "-".join(f"{share:g}" for share in region[:4])
    return Path(store) / "regions" / (f"{name}-{region.pixels}px" if region.pixels else name)


def region_embeddings(
    store: FeatureStore, regions: tuple[Region, ...], whole: Embeddings
) -> list[Embeddings]:
    """Read the vectors of regions, with the log-norms of the whole images.

    Direction is decided by the content of whole images, not by that of their regions.

    Args:
        store: of the whole images.
        regions: to read.
        whole: embeddings of the images to return, in their order.

    Returns:
        ``[N, D]`` embeddings of each region.

    Raises:
        AslError: the regions were not extracted, or not for every image.
    """
    embeddings = []
    for region in regions:
        path = region_path(store.path, region)
        if not FeatureStore.is_store(path):
            raise AslError(
                f"{store.path}: has no regions; extract it again with regions=, or search with "
                "regions=none"
            )
        part = FeatureStore.open(path)
        _check_same_images(part, store.stamps(), whole.ids.tolist())
        cropped = part.embeddings(whole.ids.tolist())
        embeddings.append(type(cropped)(cropped.ids, cropped.vectors, whole.log_norms))
    return embeddings


def _check_same_images(
    part: FeatureStore, whole: Mapping[str, str | None], names: list[str]
) -> None:
    """Refuse regions of other images than the whole ones, as far as their stamps tell."""
    stamps = part.stamps()
    other = [name for name in names if _other_content(stamps.get(name), whole.get(name))]
    if other:
        raise AslError(
            f"{part.path}: {counted(len(other), 'other image')} in it, e.g. {other[0]!r}; extract "
            "again with regions="
        )


def _other_content(part: str | None, whole: str | None) -> bool:
    """Return whether two stamps are known to be of other bytes."""
    if not part or not whole:
        return False
    return part.partition(":")[2] != whole.partition(":")[2]
