"""What a search is asked about: stores and indexes are opened, images are embedded first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from asl.data.catalog import Catalog, open_catalog
from asl.features.regions import region_embeddings, regions_of
from asl.features.store import FeatureStore
from asl.index.saved import SavedIndex
from asl.models import Embedder, load_embedder
from asl.pipeline import embed_images
from asl.types import Embeddings, UsageError


@dataclass(frozen=True, eq=False)
class Side:
    """One opened input: its embeddings (of regions, too), and its images where it has any."""

    embeddings: Embeddings
    images: Catalog | None
    model: str
    regions: list[Embeddings]


class Opener:
    """Opens stores, embeds images; the model is loaded once, and only where it is needed."""

    def __init__(self, model: str, features: Path, *, id_style: str = "path", **options: Any) -> None:
        """Remember how images are embedded.

        Args:
            model: ``asl_lite0``, ``lite0`` or the path of a saved embedder.
            features: folder for the stores of images; what is there is continued.
            id_style: ids of images are paths (``path``) or file names without suffix (``stem``).
            options: of :func:`asl.features.extract.extract`.
        """
        self._model, self._features, self._id_style, self._options = model, features, id_style, options
        self._embedder: Embedder | None = None

    def open(self, role: str, source: str, *, images: str | None = None, regions: str = "none") -> Side:
        """The embeddings behind ``source``: images, a feature store, or (as references) an index.

        Args:
            role: ``queries``, ``references`` or ``background``, for messages and the name of the store.
            source: path.
            images: the images behind a store or an index, where they are needed.
            regions: which parts of the images are searched, too.
        """
        if not Path(source).exists():
            raise UsageError(f"{role}: there is no {source}")
        if SavedIndex.is_index(source):
            if role != "references" or regions != "none":
                raise UsageError(f"{role}: {source} is an index, which holds whole references only")
            index = SavedIndex.open(source)
            return Side(index.references(), self._catalog(images), index.manifest["model"], [])
        if FeatureStore.is_store(source):
            return _side(FeatureStore.open(source), self._catalog(images), regions)
        catalog = self._catalog(source)
        assert catalog is not None
        if self._embedder is None:
            self._embedder = load_embedder(self._model)
        store = embed_images(
            catalog, self._embedder, self._features / role, role=role, regions=regions, **self._options
        )
        for name, reason in store.failures[:5]:
            Console(stderr=True).print(f"[yellow]{role}: {name} is left out: {reason}")
        here = set(catalog.ids.tolist())
        return _side(store, catalog, regions, [name for name in store.ids.tolist() if name in here])

    def _catalog(self, images: str | None) -> Catalog | None:
        return open_catalog(images, id_style=self._id_style) if images else None  # type: ignore[arg-type]


def _side(store: FeatureStore, catalog: Catalog | None, regions: str, ids: list[str] | None = None) -> Side:
    whole = store.embeddings(ids)
    return Side(whole, catalog, store.manifest["model"], region_embeddings(store, regions_of(regions), whole))
