"""Open what a search reads: feature stores and indexes are mapped, images are embedded first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from asl.console.plain_console import PlainConsole
from asl.data.catalog import Catalog, FileCatalog, IdStyle, open_catalog, skipped_text
from asl.features.embed_options import EmbedOptions
from asl.features.feature_store import FeatureStore
from asl.features.regions import regions_of
from asl.features.store_groups import check_models, verify_all
from asl.index.milvus.address import is_served, served_file
from asl.index.saved_index import SavedIndex
from asl.model_names import how_to_use, model_text
from asl.pipeline.input_roles import ImageRole, IndexRole, OpenedRole, Role, StoreRole
from asl.pipeline.inputs import SearchInput
from asl.storage import absent
from asl.types import AslError, UsageError

if TYPE_CHECKING:
    from asl.models import Embedder, SavedModel

_LOCAL_INDEX = "local.npz"  # index of the references' local features, in their folder


@dataclass(frozen=True)
class InputSources:
    """Sources of the queries, references and background of a search.

    Attributes:
        queries: images, a feature store, an index, or stores joined by ``+``.
        references: the same, or ``milvus+ADDRESS``.
        background: training images or their store; None: none.
        query_images: images of a store or index of queries; None: none.
        reference_images: images of a store, an index or a collection of references; None: none.
        local_index: folder that keeps the references' local features; None: beside them.
        query_regions: parts of the queries: ``none``, ``coarse``, ``fine``.
        reference_regions: parts of the references.
        model: name or path of the embedder for images.
        features: folder of the stores that images are embedded into.
        id_style: ids of images: ``path`` or ``stem``.
        options: settings of the extraction.
        check_files: compare every file of stores and indexes with its checksum.
    """

    queries: str
    references: str
    background: str | None
    query_images: str | None
    reference_images: str | None
    local_index: str | None
    query_regions: str
    reference_regions: str
    model: str
    features: Path
    id_style: IdStyle
    options: EmbedOptions
    check_files: bool = False


class InputLoader:
    """Check every role of a search without embedding anything, then open them."""

    def __init__(self, sources: InputSources) -> None:
        """Open manifests and list images; the model is loaded only where images are embedded.

        Raises:
            UsageError: a path does not exist, or is of a kind that its role cannot have.
            AslError: the roles, or the features beside the output, are of different models.
        """
        self.sources = sources
        self._background = (
            self._source("background", sources.background) if sources.background else None
        )
        self._queries = self._source(
            "queries", sources.queries, sources.query_images, sources.query_regions
        )
        self._served_images = (
            self._catalog(sources.reference_images) if is_served(sources.references) else None
        )
        self._references = (
            None
            if is_served(sources.references)
            else self._source(
                "references",
                sources.references,
                sources.reference_images,
                sources.reference_regions,
            )
        )
        self._check_background_path()
        if sources.local_index and Path(sources.local_index).is_file():
            raise UsageError(
                f"local_index: expected a folder, got the file {sources.local_index}; name another"
            )
        roles = self._roles()
        check_models(
            {role: source.model for role, source in roles.items()},
            embedded=[role for role in roles if isinstance(roles[role], ImageRole)],
        )
        # All before the first of them is embedded, which would be for nothing.
        for source in roles.values():
            if isinstance(source, ImageRole):
                source.check_output()

    @cached_property
    def embedding_model(self) -> SavedModel | Embedder:
        """The model that embeds images."""
        from asl.models import open_model

        return open_model(self.sources.model)

    @cached_property
    def model_hash(self) -> str:
        """Hash of the model that embeds images."""
        from asl.models import model_hash

        return model_hash(self.embedding_model)

    @property
    def model(self) -> str:
        """Hash of the model of the queries, which is that of all roles."""
        return self._queries.model

    @property
    def background_size(self) -> tuple[int, int] | None:
        """Background images at most, and dimensions of their embeddings; None without them."""
        return self._background.size if self._background else None

    @property
    def query_images(self) -> Catalog | None:
        """Images of the queries; None where there are only features."""
        return self._queries.images

    @property
    def reference_images(self) -> Catalog | None:
        """Images of the references; None where there are only features."""
        return self._references.images if self._references else self._served_images

    @property
    def has_images(self) -> bool:
        """Tell whether queries and references have images that can be compared."""
        return self.query_images is not None and self.reference_images is not None

    @property
    def local_index(self) -> Path | None:
        """File of the index of the references' local features; None: no place is known yet.

        It is beside a milvus-lite file. A store or an index names its folder when it is opened.
        """
        if self.sources.local_index:
            return Path(self.sources.local_index) / _LOCAL_INDEX
        file = served_file(self.sources.references)
        return file.with_name(f"{file.name}.local") / _LOCAL_INDEX if file else None

    def open(self) -> SearchInput:
        """Open all roles; what is already embedded is opened before images are embedded."""
        roles = self._roles()
        order = sorted(roles, key=lambda role: isinstance(roles[role], ImageRole))
        opened = {role: roles[role].open() for role in order}
        warn_mixed_decoding([role.fast_decode for role in opened.values()])
        queries, references = opened["queries"], opened["references"]
        background = opened.get("background")
        return SearchInput(
            queries.embeddings.as_queries(),
            references.embeddings.as_references(),
            None if background is None else background.embeddings.as_background(),
            query_regions=queries.regions,
            reference_regions=references.regions,
            query_images=self.query_images,
            reference_images=self.reference_images,
            query_stamps=queries.stamps,
            reference_stamps=references.stamps,
            model=self.model,
            local_index=self.local_index or references.path / _LOCAL_INDEX,
        )

    def open_queries(self) -> tuple[OpenedRole, OpenedRole | None]:
        """Open queries and background only, for references that a server holds."""
        background = self._background.open() if self._background else None
        return self._queries.open(), background

    def _roles(self) -> dict[str, Role]:
        roles = {
            "queries": self._queries,
            "references": self._references,
            "background": self._background,
        }
        return {role: source for role, source in roles.items() if source is not None}

    def _source(
        self, role: str, path: str, images: str | None = None, regions: str = "none"
    ) -> Role:
        if is_served(path):
            raise UsageError(
                f"{role}: only references may be stored in Milvus, got {path}; "
                "give images, a feature store or an index"
            )
        members = [path] if Path(path).exists() else path.split("+")
        missing = [member for member in members if not Path(member).exists()]
        if missing:
            raise UsageError(f"{role}: {absent(missing[0])}")
        other = [member for member in members if not FeatureStore.is_store(member)]
        if not other:
            if self.sources.check_files:
                for member in members:
                    verify_all(member)
            stores = [FeatureStore.open(member) for member in members]
            return StoreRole(stores, self._catalog(images), regions_of(regions, role=role))
        if len(members) > 1:
            raise UsageError(
                f"{role}: only feature stores can be joined by +, got {other[0]}; "
                "extract its images with asl.extract first"
            )
        if SavedIndex.is_index(path):
            if regions != "none":
                raise UsageError(
                    f"{role}: {path} is an index, which holds whole images only; "
                    "give the feature store to search regions"
                )
            index = SavedIndex.open(path, check_files=self.sources.check_files)
            return IndexRole(index, self._catalog(images))
        if images:
            raise UsageError(
                f"{role}: {path} holds the images already, got {images} beside it; leave it out"
            )
        catalog = open_catalog(path, id_style=self.sources.id_style)
        if isinstance(catalog, FileCatalog) and catalog.skipped:
            skipped = skipped_text(catalog.skipped)
            PlainConsole(stderr=True).warn(f"{role}: skipped {skipped}")
        return ImageRole(
            role, catalog, regions, self.sources.features / role, self, self.sources.options
        )

    def _catalog(self, images: str | None) -> Catalog | None:
        if not images:
            return None
        if not Path(images).exists():
            raise UsageError(f"query_images, reference_images: {absent(images)}")
        return open_catalog(images, id_style=self.sources.id_style)

    def _check_background_path(self) -> None:
        background = self.sources.background
        for role in ("queries", "references"):
            path = getattr(self.sources, role)
            if background and Path(background).resolve() == Path(path).resolve():
                raise UsageError(
                    f"background: {background} is given as {role}, too; "
                    "give training images that are not searched"
                )


def warn_mixed_decoding(fast: Sequence[bool]) -> None:
    """Print a warning where only some roles were extracted with ``fast_decode``."""
    if len(set(fast)) > 1:
        PlainConsole(stderr=True).warn(
            "only some of the features were made with fast_decode=true: "
            "those of large JPEGs differ a little (1 - cosine = .0003); "
            "extract all roles with the same setting to avoid this"
        )


def check_served_model(address: str, served: str, expected: str) -> None:
    """Refuse a collection of another model.

    Raises:
        AslError: naming both models.
    """
    if served != expected:
        raise AslError(
            f"references: {address} holds features of {model_text(served)}, the queries are of "
            f"{model_text(expected)}; {how_to_use(served)} to embed the queries with it"
        )
