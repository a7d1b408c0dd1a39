"""Collect hard negatives from photographs: reversed crops, mined look-alikes, named groups.

A pair is (first, second): two images that a detector may confuse and that are *not* copies in that
direction.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from asl.counts import counted
from asl.edits.engine.edit_base import Rng
from asl.edits.engine.make_views import view_rng
from asl.edits.engine.view import Pixels, View
from asl.edits.geometric import Crop
from asl.types import AslError, Embeddings, StrArray

_BLOCK_ROWS = 2048  # images whose cosines are computed at once


class LookAlike(NamedTuple):
    """Two images and the cosine of their embeddings."""

    first: str
    second: str
    cosine: float


def reverse_crop(
    image: Pixels,
    *,
    key: str,
    seed: int,
    area: Sequence[float] = (0.25, 0.7),
    aspect: Sequence[float] = (0.6, 1.6),
) -> tuple[Pixels, View]:
    """Create a reversed crop pair: the whole image as query, a crop of it as reference.

    Args:
        image: uint8 ``[H, W, 3]`` RGB.
        key: identifies the image.
        seed: of the crop.
        area: range of the crop's share of the image.
        aspect: range of the factor on its aspect ratio (width over height).

    Returns:
        Query (the image itself) and reference (the crop, as a view); the query is no copy of the
        reference.
    """
    crop = Crop(area=area, aspect=aspect)(
        View.original(image), view_rng(key=f"reverse_crop/{key}", seed=seed, number=0)
    )
    return image, crop


def look_alikes(
    embeddings: Embeddings,
    *,
    neighbours: int = 5,
    least: float = 0.4,
    most: float = 0.9,
    per_image: int = 1,
    sources: Mapping[str, str] | None = None,
) -> list[LookAlike]:
    """Mine pairs of different images that a pretrained embedder rates as similar.

    Exact search in blocks. Pairs above ``most`` are excluded: among unlabelled photographs about
    half of those are copies, and a copy used as a negative harms the training.

    Args:
        embeddings: of N images.
        neighbours: number of nearest images of each image that are considered.
        least: smallest cosine of a look-alike.
        most: largest cosine of a look-alike.
        per_image: maximum number of pairs of one image.
        sources: id -> id of its original; two images of one original are never paired.

    Returns:
        Pairs in descending cosine, each once, its ids in ascending order.

    Raises:
        AslError: bounds out of order, or fewer than two images.
    """
    if not -1 <= least < most <= 1:
        raise AslError(f"least, most: expected -1 <= least < most <= 1, got {least} and {most}")
    if len(embeddings) < 2 or neighbours < 1 or per_image < 1:
        raise AslError(
            "look-alikes: expected at least two images, and neighbours and per_image of at least "
            f"1; got {counted(len(embeddings), 'image')}, neighbours={neighbours}, "
            f"per_image={per_image}"
        )
    origin = (
        embeddings.ids
        if sources is None
        else np.array([sources.get(name, name) for name in embeddings.ids.tolist()])
    )
    pairs = set(
        _neighbour_pairs(embeddings, min(neighbours, len(embeddings) - 1), least, most, origin)
    )
    used: dict[str, int] = {}
    chosen = []
    for pair in sorted(pairs, key=lambda pair: (-pair.cosine, pair.first, pair.second)):
        if max(used.get(pair.first, 0), used.get(pair.second, 0)) < per_image:
            chosen.append(pair)
            for name in (pair.first, pair.second):
                used[name] = used.get(name, 0) + 1
    return chosen


def _neighbour_pairs(
    embeddings: Embeddings, count: int, least: float, most: float, origin: StrArray
) -> Iterator[LookAlike]:
    """Search the nearest images of each image; pairs occur from both sides."""
    vectors = embeddings.vectors
    _, group = np.unique(origin, return_inverse=True)
    for start in range(0, len(vectors), _BLOCK_ROWS):
        rows = np.arange(start, min(start + _BLOCK_ROWS, len(vectors)))
        cosine = vectors[rows] @ vectors.T
        # Excluded pairs must not use up the neighbours of an image.
        cosine[(group[rows][:, None] == group[None]) | (cosine > most)] = -2.0
        best = np.argpartition(-cosine, count - 1, axis=1)[:, :count]
        value = np.take_along_axis(cosine, best, axis=1)
        for row, rank in np.argwhere(value >= least).tolist():
            # The other side computes the same cosine in another order: round, so that both agree.
            names = sorted((str(embeddings.ids[rows[row]]), str(embeddings.ids[best[row, rank]])))
            yield LookAlike(names[0], names[1], round(float(value[row, rank]), 5))


def named_groups(ids: Sequence[str] | StrArray, *, by: str = "folder") -> dict[str, list[str]]:
    r"""Group images by their names: one folder, one burst, one video.

    Args:
        ids: of the images, usually paths.
        by: ``folder``, or a regular expression whose first group names the group
            (``(IMG_\d{5})_BURST``).

    Returns:
        Group -> its ids; groups of one image and ids that the expression does not match are
        omitted.

    Raises:
        AslError: not a regular expression, one without a group, or no two images share a group.

    >>> named_groups(["a/1.jpg", "a/2.jpg", "b/1.jpg"])
    {'a': ['a/1.jpg', 'a/2.jpg']}
    """
    try:
        pattern = re.compile(r"^(.*)/[^/]*$" if by == "folder" else by)
    except re.error as error:
        raise AslError(
            f"by: {by!r} is no regular expression ({error}); use 'folder' or a valid one"
        ) from error
    if pattern.groups < 1:
        raise AslError(
            f"by: {by!r} has no group in parentheses; put the part that names the group in ()"
        )
    groups: dict[str, list[str]] = {}
    for name in ids:
        match = pattern.search(str(name))
        if match and match.group(1) is not None:
            groups.setdefault(match.group(1), []).append(str(name))
    shared = {group: members for group, members in groups.items() if len(members) > 1}
    if not shared:
        raise AslError(
            f"by: no two of {counted(len(ids), 'image')} share a group by {by!r}; check it "
            "against the ids"
        )
    return shared


def group_pairs(
    groups: Mapping[str, Sequence[str]], rng: Rng, *, per_group: int = 10
) -> list[tuple[str, str]]:
    """Draw random pairs of different members of a group, each once.

    Args:
        groups: group -> ids.
        rng: random numbers.
        per_group: maximum number of pairs of one group.
    """
    pairs = []
    for members in groups.values():
        first, second = np.triu_indices(len(members), k=1)
        for row in sorted(rng.permutation(len(first))[:per_group].tolist()):
            pairs.append((members[first[row]], members[second[row]]))
    return pairs
