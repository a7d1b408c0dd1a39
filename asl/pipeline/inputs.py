"""The embeddings and images that a search reads, by role."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from asl.counts import counted
from asl.data.catalog import Catalog
from asl.types import (
    AslError,
    BackgroundEmbeddings,
    Embeddings,
    QueryEmbeddings,
    ReferenceEmbeddings,
    UsageError,
)

Some = TypeVar("Some", bound=Embeddings)
# 1 - cosine of one image that two runs embedded is some 1e-6; of two images it is far above this.
_SAME_IMAGE = 1e-4
_MOST_SHARED = 0.01  # share of a background that may equal searched images: plain ones do
_COMPARED_NUMBERS = 2e10  # products of all comparisons with one role, about a second
_BLOCK_ROWS = 16_384


class Step(Protocol):
    """A transformation of embeddings that keeps their role."""

    def __call__(self, embeddings: Some) -> Some: ...  # noqa: D102


@dataclass(frozen=True, eq=False)
class SearchInput:
    """Queries, references and background of a search, with their regions and images.

    Attributes:
        queries: Q query embeddings.
        references: R reference embeddings.
        background: embeddings of training images, for score normalisation and whitening; None
            where nothing needs them.
        query_regions: embeddings of one part of every query each, ids as in ``queries``.
        reference_regions: the same of the references.
        query_images: images of the queries; None where there are only features.
        reference_images: images of the references.
        query_stamps: id -> stamp of the query image that was embedded, where it is known
            (:mod:`asl.features.fingerprints`).
        reference_stamps: the same of the references.
        model: hash of the model that embedded them; empty where unknown.
        local_index: file that keeps the index of the references' local features; None: not kept.
    """

    queries: QueryEmbeddings
    references: ReferenceEmbeddings
    background: BackgroundEmbeddings | None = None
    query_regions: Sequence[Embeddings] = ()
    reference_regions: Sequence[Embeddings] = ()
    query_images: Catalog | None = None
    reference_images: Catalog | None = None
    query_stamps: Mapping[str, str | None] = field(default_factory=dict)
    reference_stamps: Mapping[str, str | None] = field(default_factory=dict)
    model: str = ""
    local_index: Path | None = None

    def mapped(self, step: Step, *, background: BackgroundEmbeddings | None) -> SearchInput:
        """Apply a step to queries, references and their regions, and exchange the background."""
        return replace(
            self,
            queries=step(self.queries),
            references=step(self.references),
            background=background,
            query_regions=[step(part) for part in self.query_regions],
            reference_regions=[step(part) for part in self.reference_regions],
        )

    def images(self) -> tuple[Catalog, Catalog]:
        """Return the images of the queries and of the references.

        Raises:
            UsageError: a role has none.
        """
        if self.query_images is None or self.reference_images is None:
            raise UsageError(
                "score=verified: compares images, and there are only features; "
                "give query_images= and reference_images= beside the stores"
            )
        return self.query_images, self.reference_images


def check_background(inputs: SearchInput) -> None:
    """Refuse a background that holds queries or references: the scores would depend on the answer.

    An image is in both where an id occurs in both and the vectors agree. Under other ids, images
    are compared by their vectors alone, of a large background an even sample; a hundredth may
    agree.

    Raises:
        AslError: with the number of such images and one of them.
    """
    background = inputs.background
    if background is None:
        return
    for role, embeddings in (("queries", inputs.queries), ("references", inputs.references)):
        if embeddings.dim != background.dim:
            continue  # the search says which dimensions differ
        shared, own, other = np.intersect1d(
            background.ids, embeddings.ids, assume_unique=True, return_indices=True
        )
        cosines = np.vecdot(background.units(own), embeddings.units(other))
        same = np.flatnonzero(cosines > 1 - _SAME_IMAGE)
        if len(same):
            raise AslError(
                f"background: {len(same):,} of its {counted(len(background), 'image')} "
                f"{'is' if len(same) == 1 else 'are'} among the {role}, too, "
                f"e.g. {str(shared[same[0]])!r}; give training images that are not searched"
            )
        _check_content(background, embeddings, role)


def _check_content(background: Embeddings, embeddings: Embeddings, role: str) -> None:
    """Refuse a background of which more than a hundredth equals images of a role."""
    affordable = int(_COMPARED_NUMBERS / max(1, len(embeddings) * embeddings.dim))
    count = min(len(background), max(64, affordable))
    rows = np.linspace(0, len(background) - 1, count).round().astype(np.int64)
    sample = background.units(rows)
    best = np.full(count, -1.0, np.float32)
    match = np.zeros(count, np.int64)
    for start in range(0, len(embeddings), _BLOCK_ROWS):
        block = embeddings.units(np.arange(start, min(start + _BLOCK_ROWS, len(embeddings))))
        cosines = sample @ block.T
        nearest = cosines.argmax(axis=1)
        found = cosines[np.arange(count), nearest]
        better = found > best
        best[better], match[better] = found[better], nearest[better] + start
    same = np.flatnonzero(best > 1 - _SAME_IMAGE)
    if len(same) > _MOST_SHARED * count:
        own = str(background.ids[rows[same[0]]])
        other = str(embeddings.ids[match[same[0]]])
        raise AslError(
            f"background: {len(same)} of {count} of its images equal {role} under other ids, e.g. "
            f"{own!r} and {other!r}; give training images that are not searched"
        )
