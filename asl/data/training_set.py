"""Training items: K tracked views of one source image, determined by seed, epoch and image.

A *draw* identifies an item, so that worker processes need no state: draw (row 17, epoch 3) gives
the same bytes in any process. Hard-negative pairs are two sources whose views are neighbours in one
batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from torch.utils.data import Dataset

from asl.counts import counted
from asl.data.catalog import Catalog
from asl.data.hard_pair_lists import HardPair
from asl.data.image_error import reason_of
from asl.data.images import decode_image
from asl.edits import Edit, View, make_views
from asl.edits.engine.make_views import overlap
from asl.types import I64, AslError, Bools

Content = Literal["visible", "detail", "area"]
PairsAs = Literal["classes", "negatives", "positives", "none"]
LEAST_SIDE = 32  # pixels of a view
_REPLACEMENTS = 100  # random images that are tried in place of one that cannot be used


class Draw(NamedTuple):
    """One source image in one epoch.

    Attributes:
        row: of the training catalog.
        epoch: views differ from epoch to epoch.
        paired: whether it is a member of a hard pair.
        directed: whether that pair has a direction.
        number: of the draw within the epoch; an image that is drawn several times has other views
            each time.
    """

    row: int
    epoch: int
    paired: bool = False
    directed: bool = False
    number: int = 0


@dataclass(frozen=True, eq=False)
class HardPairs:
    """Pairs of training images that look alike and are not copies.

    Attributes:
        rows: int64 ``[P, 2]`` rows of the training catalog.
        directed: bool ``[P]``: the first image is known to hold more than the second (a reverse
            crop's source and crop), so that their norms may be ordered; False where only the
            difference is known.
        role: meaning for the losses (``data.hard_pairs_as``): ``classes`` no more than two training
            images in one batch, ``negatives`` known to be no copies of each other, ``positives``
            alike in angle and no negatives of each other.
    """

    rows: I64
    directed: Bools
    role: PairsAs = "negatives"

    def __post_init__(self) -> None:
        if (
            self.rows.ndim != 2
            or self.rows.shape[1] != 2
            or self.directed.shape != (len(self.rows),)
        ):
            raise AslError(
                f"hard pairs: expected rows [P, 2] and directed [P], got {self.rows.shape} and "
                f"{self.directed.shape}"
            )

    def __len__(self) -> int:
        return len(self.rows)

    def groups(self, images: int) -> I64 | None:
        """Return the group of every training image where pairs are positives.

        Args:
            images: number of training images.

        Returns:
            int64 ``[images]``: the lowest row that pairs connect an image with; None for the other
            roles, where every image is its own group.
        """
        if self.role != "positives":
            return None
        shape = (images, images)
        links = csr_matrix((np.ones(len(self)), (self.rows[:, 0], self.rows[:, 1])), shape=shape)
        _, component = connected_components(links, directed=False)
        _, lowest = np.unique(component, return_index=True)
        groups: I64 = lowest[component].astype(np.int64)
        return groups

    @classmethod
    def from_ids(
        cls,
        pairs: Sequence[HardPair],
        catalog: Catalog,
        *,
        role: PairsAs = "negatives",
        source: str = "hard pairs",
    ) -> HardPairs:
        """Look pairs of ids up in the training catalog.

        Args:
            pairs: of ids.
            catalog: of the training images.
            role: what the pairs mean.
            source: file of the pairs, for the message.

        Raises:
            AslError: an id is not in the catalog (it is named).
        """
        row = {name: index for index, name in enumerate(catalog.ids.tolist())}
        missing = sorted(
            {name for pair in pairs for name in (pair.first, pair.second)} - row.keys()
        )
        if missing:
            raise AslError(
                f"{source}: {counted(len(missing), 'id is', 'ids are')} no training image, e.g. "
                f"{missing[0]!r}; the training images have ids such as {str(catalog.ids[0])!r}"
            )
        rows = np.array(
            [[row[pair.first], row[pair.second]] for pair in pairs], dtype=np.int64
        ).reshape(-1, 2)
        return cls(rows, np.array([pair.directed for pair in pairs], dtype=np.bool_), role)


@dataclass(frozen=True)
class ViewPlan:
    """Recipe and sizes of the views of a source.

    Attributes:
        recipe: an edit (see :mod:`asl.edits`).
        views: K views of each source; the first is un-edited.
        sizes: epoch from which on -> pixels of the square side (progressive resolution).
        seed: of every draw.
        pool: images for overlays; never references.
        content: measure of the content of a view: ``visible`` = share of the original still
            visible, ``detail`` = that times the remaining detail and the root of its share of the
            view, ``area`` = share of the original inside the view's frame, whatever covers or blurs
            it (the published reading).
        grid: side of the patch grid for overlaps; 0 leaves them out.
        first: edit of view 0; None leaves it un-edited.
    """

    recipe: Edit
    views: int
    sizes: Mapping[int, int]
    seed: int = 0
    pool: Any = None
    content: Content = "detail"
    grid: int = 0
    first: Edit | None = None

    def __post_init__(self) -> None:
        if self.views < 2:
            raise AslError(
                f"views: at least 2 views of a source make a positive pair, got {self.views}"
            )
        if 0 not in self.sizes or min(self.sizes.values()) < LEAST_SIDE:
            raise AslError(
                f"sizes: must name epoch 0, and sides of at least {LEAST_SIDE} pixels; got "
                f"{dict(self.sizes)}"
            )

    def size(self, epoch: int) -> int:
        """Return the pixels of the square side in an epoch."""
        return self.sizes[max(start for start in self.sizes if start <= epoch)]


class TrainingSet(Dataset[dict[str, Any]]):
    """Map a :class:`Draw` to K views of its source; see :meth:`__getitem__`."""

    def __init__(self, catalog: Catalog, plan: ViewPlan) -> None:
        if not len(catalog):
            raise AslError(
                "training images: there are none; data.train must hold at least a few hundred "
                "photographs"
            )
        self.catalog = catalog
        self.plan = plan

    def __len__(self) -> int:
        return len(self.catalog)

    def __getitem__(self, draw: Draw) -> dict[str, Any]:
        """Make the views of one source.

        An image that cannot be used is replaced by another at random; its draw then is no member
        of a hard pair.

        Returns:
            ``images`` uint8 ``[K, 3, S, S]``, ``content`` float32 ``[K]``, ``source`` int,
            ``overlaps`` float32 ``[K - 1, G*G, G*G]`` (view 0 with each other one; where the plan
            has a grid), ``paired``, ``directed`` and ``number`` as drawn, ``failed`` list of
            (id, reason) of images that could not be used.

        Raises:
            AslError: a hundred random images in a row cannot be used.
        """
        views, row, failed = self._usable_views(draw)
        item: dict[str, Any] = {
            "images": torch.from_numpy(
                np.stack([view.image for view in views]).transpose(0, 3, 1, 2).copy()
            ),
            "content": torch.tensor(
                [content_of(view, self.plan.content) for view in views], dtype=torch.float32
            ),
            "source": row,
            "paired": draw.paired and not failed,
            "directed": draw.directed,
            "number": draw.number,
            "failed": failed,
        }
        if self.plan.grid:
            overlaps = [overlap(views[0], view, grid=self.plan.grid) for view in views[1:]]
            item["overlaps"] = torch.from_numpy(np.stack(overlaps))
        return item

    def views(self, draw: Draw) -> list[View]:
        """Make the K views of one source, as :meth:`__getitem__` does, with their traces."""
        return self._usable_views(draw)[0]

    def _usable_views(self, draw: Draw) -> tuple[list[View], int, list[tuple[str, str]]]:
        """Make the views of the drawn image, or of random ones until one can be used."""
        failed: list[tuple[str, str]] = []
        rng = np.random.default_rng([self.plan.seed, draw.epoch, draw.number, draw.row])
        candidates = rng.integers(len(self.catalog), size=_REPLACEMENTS).tolist()
        for row in (draw.row, *candidates):
            try:
                return self._views(row, draw), row, failed
            except (AslError, OSError, ValueError) as error:
                failed.append((str(self.catalog.ids[row]), reason_of(error)))
        raise AslError(
            f"training images: {len(failed)} random ones in a row cannot be used, e.g. "
            f"{failed[0][0]}: {failed[0][1]}; remove the broken ones"
        )

    def _views(self, row: int, draw: Draw) -> list[View]:
        plan = self.plan
        size = plan.size(draw.epoch)
        # Edits work at twice the final size: more of a large JPEG need not be decoded.
        image = decode_image(self.catalog.read(row), least=2 * size)
        key = f"{self.catalog.ids[row]}@{draw.epoch}" + (f"#{draw.number}" if draw.number else "")
        make = partial(make_views, image, key=key, seed=plan.seed, size=size, pool=plan.pool)
        views = make(plan.recipe, views=plan.views, first="original")
        if plan.first is not None:
            views[0] = make(plan.first, views=1, first="edited")[0]
        return views


def content_of(view: View, kind: Content) -> float:
    """Return the content of a view, 0..1; see :class:`ViewPlan`."""
    if kind == "visible":
        return float(view.content)
    if kind == "detail":
        return view.amount
    if kind == "area":
        x = view.map[..., 0]
        y = view.map[..., 1]
        if not np.isfinite(x).any():
            return 0.0
        height, width = view.source_size
        spans = (np.nanmax(x) - np.nanmin(x)) * (np.nanmax(y) - np.nanmin(y))
        return min(1.0, float(spans) / max(1.0, (height - 1.0) * (width - 1.0)))
    raise AslError(f"content: expected visible, detail or area, got {kind!r}")


def collate(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Stack the P items of a batch; hard pairs are last, their two members one after the other.

    Returns:
        ``images`` uint8 ``[P * K, 3, S, S]``, ``content`` float32 ``[P * K]``, ``source`` and
        ``view`` int64 ``[P * K]``, ``pair_index`` int64 ``[Q * K, 2]`` rows of the batch (the same
        view of both members of Q pairs), ``pair_directed`` bool ``[Q * K]``, ``overlaps`` float32
        ``[P, K - 1, G*G, G*G]`` or None, ``failed``.
    """
    views = items[0]["images"].shape[0]
    firsts = [
        place
        for place, (item, other) in enumerate(pairwise(items))
        if item["paired"] and other["paired"] and item["number"] == other["number"]
    ]
    rows = torch.tensor(firsts, dtype=torch.int64).repeat_interleave(views) * views
    rows = rows + torch.arange(views).repeat(len(firsts))
    directed = torch.tensor([items[place]["directed"] for place in firsts], dtype=torch.bool)
    return {
        "images": torch.cat([item["images"] for item in items]),
        "content": torch.cat([item["content"] for item in items]),
        "source": torch.tensor([item["source"] for item in items]).repeat_interleave(views),
        "view": torch.arange(views).repeat(len(items)),
        "pair_index": torch.stack([rows, rows + views], dim=1),
        "pair_directed": directed.repeat_interleave(views),
        "overlaps": torch.stack([item["overlaps"] for item in items])
        if "overlaps" in items[0]
        else None,
        "failed": [entry for item in items for entry in item["failed"]],
    }
