"""Hard negatives from what any folder of photographs has: reversed crops, mined look-alikes, groups that people name.

A pair here is (first, second): two images that a detector may confuse and that are *not* copies in
that direction.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from asl.edits.engine.edit_base import Rng
from asl.edits.engine.make_views import view_rng
from asl.edits.engine.view import Pixels, View
from asl.edits.geometric import Crop
from asl.types import AslError, Embeddings, StrArray

_BLOCK = 2048


class LookAlike(NamedTuple):
    """Two images and the cosine between them."""

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
    """The same image asked the wrong way round: the whole as query, a crop of it as reference.

    Args:
        image: uint8 ``[H, W, 3]`` RGB.
        key: names the image.
        seed: of the crop.
        area: share of the image that the crop keeps.
        aspect: factor on its width over height.

    Returns:
        query (the image itself) and reference (the crop, with its content); the query is no copy of
        the reference.
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
    """Pairs of different images that a pretrained embedder takes for nearly the same.

    NumpyExact search in blocks. Pairs above ``most`` are left out: among unlabelled photographs those
    are copies as often as not, and a copy taken for a negative teaches the wrong thing.

    Args:
        embeddings: of N images.
        neighbours: how many of the nearest of each image are looked at.
        least: smallest cosine that still looks alike.
        most: largest cosine that is still taken for another image.
        per_image: in how many pairs an image may appear.
        sources: id -> what it was made from; two images of one source are never paired.

    Returns:
        Pairs from the most alike on, each once, its ids in ascending order.

    Raises:
        AslError: bounds out of order, or fewer than two images.
    """
    if not -1 <= least < most <= 1:
        raise AslError(f"least, most: expected -1 <= least < most <= 1, got {least} and {most}")
    if len(embeddings) < 2 or neighbours < 1 or per_image < 1:
        raise AslError(
            f"look-alikes: needs two images, and neighbours and per_image of at least 1; got {len(embeddings)} images, "
            f"neighbours={neighbours}, per_image={per_image}"
        )
    origin = (
        embeddings.ids
        if sources is None
        else np.array([sources.get(name, name) for name in embeddings.ids.tolist()])
    )
    found = set(_near(embeddings, min(neighbours, len(embeddings) - 1), least, most, origin))
    used: dict[str, int] = {}
    chosen = []
    for pair in sorted(found, key=lambda pair: (-pair.cosine, pair.first, pair.second)):
        if max(used.get(pair.first, 0), used.get(pair.second, 0)) < per_image:
            chosen.append(pair)
            for name in (pair.first, pair.second):
                used[name] = used.get(name, 0) + 1
    return chosen


def _near(
    embeddings: Embeddings, count: int, least: float, most: float, origin: StrArray
) -> Iterator[LookAlike]:
    vectors, (_, group) = embeddings.vectors, np.unique(origin, return_inverse=True)
    for start in range(0, len(vectors), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(vectors)))
        cosine = vectors[rows] @ vectors.T
        # Those that cannot be a pair must not take the places of those that can.
        cosine[(group[rows][:, None] == group[None]) | (cosine > most)] = -2.0
        best = np.argpartition(-cosine, count - 1, axis=1)[:, :count]
        value = np.take_along_axis(cosine, best, axis=1)
        for place, neighbour in np.argwhere(value >= least).tolist():
            # Both sides see the same pair, summed in another order: round, so that it is found
            # once.
            names = sorted(
                (str(embeddings.ids[rows[place]]), str(embeddings.ids[best[place, neighbour]]))
            )
            yield LookAlike(names[0], names[1], round(float(value[place, neighbour]), 5))


def named_groups(ids: Sequence[str] | StrArray, *, by: str = "folder") -> dict[str, list[str]]:
    r"""Groups of look-alikes that the names of images tell: one folder, one burst, one video.

    Args:
        ids: of the images, paths as a rule.
        by: ``folder``, or a regular expression whose first group names the group
            (``(IMG_\d{5})_BURST``).

    Returns:
        group -> its ids; groups of one image and ids that the expression does not match are left
        out.

    Raises:
        AslError: not a regular expression, one without a group, or no two images share a group.

    >>> named_groups(["a/1.jpg", "a/2.jpg", "b/1.jpg"])
    {'a': ['a/1.jpg', 'a/2.jpg']}
    """
    try:
        pattern = re.compile(r"^(.*)/[^/]*$" if by == "folder" else by)
    except re.error as error:
        raise AslError(f"by: {by!r} is no regular expression ({error})") from error
    if pattern.groups < 1:
        raise AslError(f"by: {by!r} has no group in parentheses that would name the groups")
    groups: dict[str, list[str]] = {}
    for name in ids:
        match = pattern.search(str(name))
        if match and match.group(1) is not None:
            groups.setdefault(match.group(1), []).append(str(name))
    kept = {group: members for group, members in groups.items() if len(members) > 1}
    if not kept:
        raise AslError(f"by: no two of {len(ids)} images share a group by {by!r}")
    return kept


def group_pairs(
    groups: Mapping[str, Sequence[str]], rng: Rng, *, per_group: int = 10
) -> list[tuple[str, str]]:
    """Random pairs of different members of a group, each pair once, at most ``per_group`` of every group."""
    pairs = []
    for members in groups.values():
        first, second = np.triu_indices(len(members), k=1)
        for row in sorted(rng.permutation(len(first))[:per_group].tolist()):
            pairs.append((members[first[row]], members[second[row]]))
    return pairs
