"""What a search is asked about: stores and indexes are opened, images are embedded first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from asl.data.catalog import Catalog, open_catalog
from asl.features.decoding import Region
from asl.features.feature_store import FeatureStore
from asl.features.regions import region_embeddings, regions_of
from asl.index.milvus.address import is_served
from asl.index.saved_index import SavedIndex
from asl.models import Embedder, load_embedder
from asl.pipeline.benchmark_run import embed_images, embedded_ids
from asl.scoring.ensemble import ensemble
from asl.scoring.postprocess import PostProcess
from asl.types import Embeddings, UsageError


@dataclass(frozen=True, eq=False)
class SearchInput:
    """One opened input: embeddings (of regions, too), images where it has any, its store, whether it decoded fast."""

    embeddings: Embeddings
    images: Catalog | None
    model: str
    regions: list[Embeddings]
    path: Path
    fast_decode: bool = False

    def mapped(self, step: Callable[[Embeddings], Embeddings]) -> SearchInput:
        """The side after a step on all of its features."""
        return replace(
            self, embeddings=step(self.embeddings), regions=[step(part) for part in self.regions]
        )


class InputLoader:
    """Opens stores, embeds images; the model is loaded once, and only where it is needed."""

    def __init__(
        self, model: str, features: Path, *, id_style: str = "path", **options: Any
    ) -> None:
        """Remember how images are embedded.

        Args:
            model: ``asl_lite0``, ``lite0`` or the path of a saved embedder.
            features: folder for the stores of images; what is there is continued.
            id_style: ids of images are paths (``path``) or file names without suffix (``stem``).
            options: of :func:`asl.features.extraction.extract`.
        """
        self._model, self._features, self._id_style, self._options = (
            model,
            features,
            id_style,
            options,
        )
        self._embedder: Embedder | None = None

    def open(
        self, role: str, source: str, *, images: str | None = None, regions: str = "none"
    ) -> SearchInput:
        """The embeddings behind ``source``: images, a feature store, or an index, which is memory-mapped.

        Args:
            role: ``queries``, ``references`` or ``background``, for messages and the name of the
                store.
            source: path, or paths of stores joined by ``+``: features of the same images by several
                models, as one.
            images: the images behind a store or an index, where they are needed.
            regions: which parts of the images are searched, too.
        """
        if is_served(source):
            raise UsageError(
                f"{role}: only references may lie in Milvus; take images, a store or an index"
            )
        members = [source] if Path(source).exists() else source.split("+")
        missing = [member for member in members if not Path(member).exists()]
        if missing:
            raise UsageError(f"{role}: there is no {missing[0]}")
        if len(members) > 1:
            strangers = [member for member in members if not FeatureStore.is_store(member)]
            if strangers:
                raise UsageError(
                    f"{role}: only feature stores are joined by +, {strangers[0]} is none"
                )
            return _joined(
                [self.open(role, member, images=images, regions=regions) for member in members]
            )
        if SavedIndex.is_index(source):
            if regions != "none":
                raise UsageError(f"{role}: {source} is an index, which holds whole images only")
            index = SavedIndex.open(source)
            fast = bool(index.manifest.get("fast_decode"))
            return SearchInput(
                index.references(),
                self._catalog(images),
                index.manifest["model"],
                [],
                index.path,
                fast,
            )
        if FeatureStore.is_store(source):
            return _side(
                FeatureStore.open(source), self._catalog(images), regions_of(regions, role=role)
            )
        catalog = self._catalog(source)
        assert catalog is not None
        if self._embedder is None:
            self._embedder = load_embedder(self._model)
        store = embed_images(
            catalog,
            self._embedder,
            self._features / role,
            role=role,
            regions=regions,
            **self._options,
        )
        here = set(catalog.ids.tolist())
        failures = [failure for failure in store.failures if failure[0] in here]
        if failures:
            name, reason = failures[0]
            Console(stderr=True).print(
                f"[yellow]{role}: {len(failures)} images are left out, e.g. {name}: {reason} (all: {store.path})"
            )
        return _side(store, catalog, regions_of(regions, role=role), embedded_ids(store, catalog))

    def _catalog(self, images: str | None) -> Catalog | None:
        return open_catalog(images, id_style=self._id_style) if images else None  # type: ignore[arg-type]


def _joined(members: list[SearchInput]) -> SearchInput:
    parts = zip(*(side.regions for side in members), strict=True)
    return SearchInput(
        ensemble([side.embeddings for side in members]),
        members[0].images,
        "+".join(side.model for side in members),
        [ensemble(part) for part in parts],
        members[0].path,
        any(side.fast_decode for side in members),
    )


def _side(
    store: FeatureStore,
    catalog: Catalog | None,
    regions: tuple[Region, ...],
    ids: list[str] | None = None,
) -> SearchInput:
    whole = store.embeddings(ids)
    return SearchInput(
        whole,
        catalog,
        store.manifest["model"],
        region_embeddings(store, regions, whole),
        store.path,
        bool(store.manifest["preprocessing"].get("fast_decode")),
    )


def postprocessed(
    left: SearchInput,
    right: SearchInput,
    background: SearchInput | None,
    *,
    whiten: int,
    negatives: float,
) -> tuple[SearchInput, SearchInput, SearchInput | None]:
    """All sides after whitening and negative embedding subtraction, fitted on the background."""
    if background is None:
        return left, right, None
    steps = PostProcess.fit(
        background.embeddings.as_background(), whiten=whiten, negatives=negatives
    )
    background = replace(background, embeddings=steps.background or background.embeddings)
    return left.mapped(steps.apply), right.mapped(steps.apply), background


def say_decoding(fast: Sequence[bool]) -> None:
    """A line where only some sides were made with ``fast_decode``."""
    if len(set(fast)) > 1:
        Console(stderr=True).print(
            "[yellow]only some of the features were made with fast_decode=true: those of large JPEGs differ a little "
            "(1 - cosine = .0003); extract all sides the same way to be rid of this"
        )
