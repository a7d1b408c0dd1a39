"""Decode images in threads, make thumbnails, embed in batches, write records to a store."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from asl.app.library.cached_parts import CachedParts
from asl.app.library.content_cache import open_cache
from asl.app.library.facts import Facts
from asl.app.library.image_store import ImageStore
from asl.app.library.picture_parts import PictureParts
from asl.app.library.records import IngestResult, Name, Record, Source
from asl.data.image_error import reason_of
from asl.data.images import MAX_PIXELS, ImageError, Pixels, decode_image
from asl.features.cropping import cut, network_input
from asl.features.regions import regions_key, regions_of
from asl.features.runner import open_runner
from asl.matching.values import Settings
from asl.models.opening import ModelInput, open_model
from asl.models.score_constants import base_score
from asl.scoring.score import Score
from asl.types import F32, AslError, Progress

BATCH = 32  # images in one pass of the network
REGION_BATCH = 16  # regions in one pass, beside the memory that a batch of whole images holds


@dataclass(frozen=True, eq=False)
class _Decoded:
    source: Source
    digest: str = ""
    facts: Facts | None = None
    thumbnail: bytes = b""
    pixels: Pixels | None = None
    failure: str = ""
    cached: Record | None = None


class Ingestor:
    """A loaded model that embeds images and writes them to stores.

    Attributes:
        plan: preprocessing of the model.
        dim: D.
        hash: of the model.
        score: constants of the model's embedding score.
        regions: key of the set of regions that are embedded; empty for none.
    """

    def __init__(
        self,
        model: ModelInput,
        *,
        device: str = "auto",
        max_pixels: int = MAX_PIXELS,
        regions: str = "none",
        isolate: bool = False,
    ) -> None:
        """Load the model.

        Args:
            model: ``asl_lite0`` or ``asl_lite1`` (come with the package), a path, or an embedder.
            device: ``auto``, ``cpu``, ``cuda``.
            max_pixels: images with more are refused before they are decoded.
            regions: regions embedded beside the whole image: ``none``, ``coarse``, ``fine``
                (:mod:`asl.features.regions`).
            isolate: decode every image in a process that can be ended, not only costly ones.
        """
        self._regions = regions_of(regions)
        self.regions = regions_key(self._regions) if self._regions else ""
        name = model if isinstance(model, str | Path) else None
        opened = open_model(model) if isinstance(model, str | Path) else model
        self._runner = open_runner(opened, device)
        self.plan = self._runner.preprocessing
        self.dim = self._runner.dim
        self.hash = self._runner.hash
        self.score = Score() if name is None else base_score(name, self.hash)
        self._parts = PictureParts(max_pixels, Settings().size, self.plan)
        self._isolate = isolate
        cache = open_cache()
        self._cached = cache and CachedParts.of(
            cache,
            model=self.hash,
            runner=self._runner.name,
            regions=self.regions,
            dim=self.dim,
            thumbnail_side=self._parts.thumbnail_side,
            max_pixels=max_pixels,
        )

    def open_store(self, path: str | Path | None) -> ImageStore:
        """Open a store for this model's features; None keeps it in memory."""
        return ImageStore(path, model=self.hash, dim=self.dim)

    def embed(self, data: bytes) -> tuple[F32, Facts, bytes]:
        """Embed one encoded image without storing it.

        Returns:
            Un-normalised features float32 ``[1 + R, D]`` of the whole image and its regions, file
            facts, JPEG thumbnail.

        Raises:
            ImageError: the bytes are no usable image.
        """
        facts, thumbnail, pixels = self._parts.within_budget(data, isolate=self._isolate)
        return self._runner.embed([pixels, *self._cut_regions(thumbnail)]), facts, thumbnail

    def run(
        self, sources: Iterable[Source], store: ImageStore, *, threads: int | None = None
    ) -> Iterator[IngestResult]:
        """Add images to a store, batch by batch; known contents are named, not embedded.

        Args:
            sources: read while it runs; a few batches are in memory at most.
            store: gets a record of every content, unusable ones with the reason.
            threads: decoders; None for one per core.

        Yields:
            The outcome of each source, in order, once it is stored.
        """
        batch: list[_Decoded] = []
        decoded = _map_ahead(
            lambda source: self._prepare(source, store), sources, threads or os.cpu_count() or 1
        )
        for item in decoded:
            batch.append(item)
            to_embed = sum(other.pixels is not None for other in batch)
            if to_embed >= BATCH or len(batch) >= 16 * BATCH:
                yield from self._flush(batch, store)
                batch = []
        yield from self._flush(batch, store)
        if self._cached:
            self._cached.cache.tidy()

    def embed_regions(
        self, store: ImageStore, digests: Sequence[str], *, progress: Progress | None = None
    ) -> None:
        """Embed the regions of stored contents from their thumbnails, where they are missing.

        Args:
            store: gets the features.
            digests: usable contents.
            progress: called with (contents done, contents to do).
        """
        missing = store.without_regions(self.regions, digests) if self._regions else []
        step = self._images_per_pass()
        for start in range(0, len(missing), step):
            batch = missing[start : start + step]
            features = self._embed_thumbnail_regions([store.thumbnail(digest) for digest in batch])
            store.put_regions(self.regions, zip(batch, features, strict=True))
            if progress:
                progress(start + len(batch), len(missing))

    def _images_per_pass(self) -> int:
        """Number of images whose regions go through the network at once."""
        return max(1, REGION_BATCH // max(1, len(self._regions)))

    def _cut_regions(self, thumbnail: bytes) -> list[Pixels]:
        """Cut the regions of a thumbnail, at the input size of the network."""
        if not self._regions:
            return []
        image = decode_image(thumbnail)
        return [network_input(cut(image, region), self.plan) for region in self._regions]

    def _embed_thumbnail_regions(self, thumbnails: Sequence[bytes]) -> F32:
        """Embed regions: float32 ``[len(thumbnails), R, D]``."""
        features = np.empty((len(thumbnails), len(self._regions), self.dim), dtype=np.float32)
        step = self._images_per_pass()
        for start in range(0, len(thumbnails), step):
            batch = thumbnails[start : start + step]
            images = [image for thumbnail in batch for image in self._cut_regions(thumbnail)]
            embedded = self._runner.embed(images)
            features[start : start + step] = embedded.reshape(len(batch), -1, self.dim)
        return features

    def _prepare(self, source: Source, store: ImageStore) -> _Decoded:
        try:
            data = source.read()
        except (AslError, OSError) as error:
            return _Decoded(source, failure=reason_of(error))
        digest = hashlib.sha256(data).hexdigest()
        if store.known(digest):
            return _Decoded(source, digest)
        cached = self._cached.get(digest) if self._cached and source.is_file else None
        if cached:
            return _Decoded(source, digest, cached.facts, cached.thumbnail, cached=cached)
        try:
            facts, thumbnail, pixels = self._parts.within_budget(data, isolate=self._isolate)
        except ImageError as error:
            return _Decoded(source, digest, Facts(0, 0, len(data)), failure=error.reason)
        return _Decoded(source, digest, facts, thumbnail, pixels)

    def _flush(self, batch: list[_Decoded], store: ImageStore) -> list[IngestResult]:
        """Embed the new contents of a batch and store all of it."""
        batch = self._without_duplicates(batch, store)
        new = self._new_records(batch)
        cached = [self._with_regions(item.cached) for item in batch if item.cached]
        names = [_name(item.source, item.digest) for item in batch if item.digest]
        store.put([*new, *cached], names, regions=self.regions)
        if self._cached:
            of_files = {item.digest for item in batch if item.source.is_file}
            self._cached.put([record for record in new if record.digest in of_files])
        # A known content may be known to be unusable.
        failures = store.failures([item.digest for item in batch if item.digest])
        return [
            IngestResult(
                item.source,
                item.digest,
                failures.get(item.digest, item.failure),
                item.pixels is not None,
            )
            for item in batch
        ]

    def _new_records(self, batch: list[_Decoded]) -> list[Record]:
        """Embed what was decoded."""
        fresh = {item.digest: item for item in batch if item.pixels is not None}
        images = [item.pixels for item in fresh.values() if item.pixels is not None]
        features = dict(zip(fresh, self._runner.embed(images), strict=True))
        usable = {digest: feature for digest, feature in features.items() if _is_usable(feature)}
        regions = self._regions_of({digest: fresh[digest].thumbnail for digest in usable})
        return [
            Record(
                item.digest,
                item.facts,
                usable.get(item.digest),
                item.thumbnail,
                _failure(item, usable),
                regions.get(item.digest),
            )
            for item in batch
            if item.facts is not None and not item.cached
        ]

    def _with_regions(self, record: Record) -> Record:
        """Return a cached record with its regions, embedded where the cache lacks them."""
        if record.regions is not None or not self._regions:
            return record
        regions = self._regions_of({record.digest: record.thumbnail})
        whole = replace(record, regions=regions[record.digest])
        if self._cached:
            self._cached.put([whole])
        return whole

    def _regions_of(self, thumbnails: Mapping[str, bytes]) -> dict[str, F32]:
        """Embed the regions of contents, given digest -> thumbnail; empty without regions."""
        if not self._regions:
            return {}
        embedded = self._embed_thumbnail_regions(list(thumbnails.values()))
        return dict(zip(thumbnails, embedded, strict=True))

    def _without_duplicates(self, batch: list[_Decoded], store: ImageStore) -> list[_Decoded]:
        """Keep the pixels of exactly the first image of each content that the store lacks.

        Images are prepared ahead of what is stored: since then a content may have come with an
        earlier batch, or gone with the last name that pointed at it.
        """
        known = store.known_among([item.digest for item in batch if item.digest])
        result = []
        for item in batch:
            if item.digest in known:
                item = _Decoded(item.source, item.digest)
            elif item.digest and item.facts is None:
                item = self._prepare(item.source, store)
            if item.digest:
                known.add(item.digest)
            result.append(item)
        return result


def _name(source: Source, digest: str) -> Name:
    path = "" if source.path == source.name else source.path
    return Name(source.name, digest, source.label, source.size, source.changed, path)


def _is_usable(feature: F32) -> bool:
    return bool(np.isfinite(feature).all() and np.any(feature))


def _failure(item: _Decoded, usable: dict[str, F32]) -> str:
    if item.failure or item.digest in usable:
        return item.failure
    return "its embedding is zero or not finite"


def _map_ahead(
    work: Callable[[Source], _Decoded], sources: Iterable[Source], threads: int
) -> Iterator[_Decoded]:
    """Map in threads, in order, at most two batches ahead of the reader."""
    with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
        waiting: deque[Future[_Decoded]] = deque()
        try:
            for source in sources:
                waiting.append(pool.submit(work, source))
                if len(waiting) >= 2 * BATCH:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
