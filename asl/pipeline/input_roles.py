"""One role of a search (queries, references or background), checked and then opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from asl.console.plain_console import PlainConsole
from asl.counts import counted
from asl.data.catalog import Catalog
from asl.features.cropping import Region
from asl.features.embed_options import EmbedOptions
from asl.features.feature_store import FeatureStore
from asl.features.regions import region_embeddings, regions_of
from asl.index.saved_index import SavedIndex
from asl.model_names import other_model
from asl.pipeline.features import embed_images, embedded_ids
from asl.scoring.ensemble import ensemble
from asl.types import AslError, Embeddings

if TYPE_CHECKING:
    from asl.models import Embedder, SavedModel


@dataclass(frozen=True, eq=False)
class OpenedRole:
    """One opened role of a search.

    Attributes:
        embeddings: of the whole images.
        regions: embeddings of one part of every image each.
        path: of the store or index.
        fast_decode: whether large JPEGs were decoded at a fraction of their size.
        stamps: id -> stamp of the image that was embedded, where both are known.
    """

    embeddings: Embeddings
    regions: list[Embeddings]
    path: Path
    fast_decode: bool
    stamps: Mapping[str, str | None] = field(default_factory=dict)


class Role(Protocol):
    """One role, checked and not yet opened."""

    @property
    def model(self) -> str:
        """Hash of the model of the embeddings."""
        ...

    @property
    def images(self) -> Catalog | None:
        """Images that were or will be embedded; None where there are only features."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Images at most, and dimensions of an embedding."""
        ...

    def open(self) -> OpenedRole:
        """Read the embeddings; images are embedded first."""
        ...


@dataclass(frozen=True, eq=False)
class StoreRole:
    """Feature stores of the same images by one or several models."""

    stores: Sequence[FeatureStore]
    images: Catalog | None
    regions: tuple[Region, ...]

    @property
    def model(self) -> str:
        """Hashes of the models, joined by +."""
        return "+".join(store.manifest["model"] for store in self.stores)

    @property
    def size(self) -> tuple[int, int]:
        """Images of the smallest store, and dimensions of the joined embeddings."""
        dims = [int(store.manifest["dim"]) for store in self.stores]
        return min(len(store) for store in self.stores), sum(dims)

    def open(self) -> OpenedRole:
        """Read the embeddings of all stores and join them."""
        members = [_opened_store(store, self.regions) for store in self.stores]
        stamps = self.stores[0].stamps() if self.images else {}
        if len(members) == 1:
            return replace(members[0], stamps=stamps)
        parts = zip(*(member.regions for member in members), strict=True)
        return OpenedRole(
            ensemble([member.embeddings for member in members]),
            [ensemble(part) for part in parts],
            members[0].path,
            any(member.fast_decode for member in members),
            stamps,
        )


@dataclass(frozen=True, eq=False)
class IndexRole:
    """An index of ``asl.extract index=``, memory-mapped."""

    index: SavedIndex
    images: Catalog | None

    @property
    def model(self) -> str:
        """Hash of the model."""
        return str(self.index.manifest["model"])

    @property
    def size(self) -> tuple[int, int]:
        """Images, and dimensions of an embedding."""
        return len(self.index), int(self.index.manifest["dim"])

    def open(self) -> OpenedRole:
        """Map the index."""
        fast = bool(self.index.manifest.get("fast_decode"))
        return OpenedRole(self.index.references(), [], self.index.path, fast)


class Embedding(Protocol):
    """The model that embeds images, loaded when it is first needed."""

    @property
    def embedding_model(self) -> SavedModel | Embedder:
        """The model."""
        ...

    @property
    def model_hash(self) -> str:
        """Its hash."""
        ...


@dataclass(frozen=True, eq=False)
class ImageRole:
    """Images, embedded into a store beside the output when they are opened."""

    role: str
    images: Catalog
    regions: str
    output: Path
    embedding: Embedding
    options: EmbedOptions

    @property
    def model(self) -> str:
        """Hash of the model."""
        return self.embedding.model_hash

    @property
    def size(self) -> tuple[int, int]:
        """Images at most, and dimensions of an embedding."""
        return len(self.images), self.embedding.embedding_model.dim

    def check_output(self) -> None:
        """Refuse a store of an earlier search by another model, which cannot be continued.

        Raises:
            AslError: naming the store and both models.
        """
        if not FeatureStore.is_store(self.output):
            return
        stored = str(FeatureStore.open(self.output).manifest["model"])
        if stored != self.model:
            text = other_model(stored, self.model, otherwise="choose another output")
            raise AslError(f"{self.output}: {text}")

    def open(self) -> OpenedRole:
        """Embed the images; print how many could not be read."""
        store = embed_images(
            self.images,
            self.embedding.embedding_model,
            self.output,
            role=self.role,
            regions=self.regions,
            options=self.options,
        )
        ids = set(self.images.ids.tolist())
        failures = [failure for failure in store.failures if failure[0] in ids]
        if failures:
            name, reason = failures[0]
            PlainConsole(stderr=True).warn(
                f"{self.role}: {counted(len(failures), 'image is', 'images are')} left out, "
                f"e.g. {name}: {reason} (all: {store.path})"
            )
        regions = regions_of(self.regions, role=self.role)
        return _opened_store(store, regions, embedded_ids(store, self.images))


def _opened_store(
    store: FeatureStore, regions: tuple[Region, ...], ids: list[str] | None = None
) -> OpenedRole:
    whole = store.embeddings(ids)
    fast = bool(store.manifest["preprocessing"].get("fast_decode"))
    return OpenedRole(whole, region_embeddings(store, regions, whole), store.path, fast)
