"""From encoded bytes to a record of the store: decode, keep a small picture, embed. Decoding runs in threads."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from asl.app.library.facts import Facts, read_facts
from asl.app.library.image_store import ImageStore
from asl.app.library.records import Name, Record
from asl.data.images import MAX_PIXELS, ImageError, Pixels, decode_image, read_file, resize_image
from asl.features.decoding import cut
from asl.features.extraction import Progress
from asl.features.inference import Runner
from asl.features.regions import regions_key, regions_of
from asl.matching.align.prepare import working_image
from asl.matching.values import Settings
from asl.models import Embedder, load_embedder, model_hash
from asl.models.scores import base_score
from asl.scoring.score import Score
from asl.types import F32

BATCH = 32
_PARTS = (
    16  # parts in one pass of the network, beside what a batch of whole images has left in memory
)
_QUALITY = 95  # of the small pictures; pairs are compared on them


@dataclass(frozen=True)
class Source:
    """One image to take in: what it is called, and its bytes or the file that has them.

    Attributes:
        name: unique name.
        data: encoded bytes, or a file.
        label: for people.
        size: of the file in bytes, where it is one.
        changed: modification time of the file in nanoseconds.
    """

    name: str
    data: bytes | Path
    label: str = ""
    size: int = 0
    changed: int = 0


@dataclass(frozen=True)
class IngestResult:
    """What became of a source: ``digest`` is empty where its bytes could not be read, ``failure`` says why."""

    source: Source
    digest: str = ""
    failure: str = ""
    new: bool = False


@dataclass(frozen=True, eq=False)
class _Decoded:
    source: Source
    digest: str = ""
    facts: Facts | None = None
    picture: bytes = b""
    pixels: Pixels | None = None
    failure: str = ""


class Intake:
    """A model, ready to take images in.

    Attributes:
        regions: key of the regions that are embedded beside the whole images; empty where there are
            none.
    """

    def __init__(
        self,
        model: str | Path | Embedder,
        *,
        device: str = "auto",
        max_pixels: int = MAX_PIXELS,
        regions: str = "none",
    ) -> None:
        """Load the model.

        Args:
            model: ``asl_lite0`` (comes with the package), a path, or an embedder.
            device: ``auto``, ``cpu``, ``cuda``.
            max_pixels: images with more are refused before they are decoded.
            regions: parts of the images that are embedded, too: ``none``, ``coarse``, ``fine``
                (:mod:`asl.features.regions`).
        """
        self._regions = regions_of(regions)
        self.regions = regions_key(self._regions) if self._regions else ""
        embedder = model if isinstance(model, Embedder) else load_embedder(model)
        self.plan, self.dim, self.hash = embedder.preprocessing, embedder.dim, model_hash(embedder)
        self.score = Score() if isinstance(model, Embedder) else base_score(model, self.hash)
        self._runner = Runner(embedder, device, BATCH)
        self._side, self._max_pixels = Settings().size, max_pixels

    def open_store(self, path: str | Path | None) -> ImageStore:
        """A store of this model's features."""
        return ImageStore(path, model=self.hash, dim=self.dim)

    def look(self, data: bytes) -> tuple[F32, Facts, bytes]:
        """Features ``[1 + R, D]`` of the whole and of its parts, facts and small picture of one encoded image.

        Raises:
            ImageError: no usable image.
        """
        facts, picture, pixels = self._decode(data)
        return self._runner.embed([pixels, *self._cut(picture)]), facts, picture

    def run(
        self, sources: Iterable[Source], store: ImageStore, *, threads: int | None = None
    ) -> Iterator[IngestResult]:
        """Take images in, a batch at a time; contents that the store knows are only named.

        Args:
            sources: read while it runs; never more than a few batches are in memory.
            store: gets a record of every content, the unusable ones with their reason.
            threads: that decode; one per core unless given.

        Yields:
            What became of each source, in order, once it is in the store.
        """
        batch: list[_Decoded] = []
        for item in _ahead(
            lambda source: self._prepare(source, store), sources, threads or os.cpu_count() or 1
        ):
            batch.append(item)
            if sum(part.pixels is not None for part in batch) >= BATCH or len(batch) >= 16 * BATCH:
                yield from self._flush(batch, store)
                batch = []
        yield from self._flush(batch, store)

    def embed_parts(
        self, store: ImageStore, digests: Sequence[str], *, progress: Progress | None = None
    ) -> None:
        """Embed the parts of contents that the store has a picture of, where it does not have them yet.

        Args:
            store: keeps the features.
            digests: usable contents.
            progress: called with (contents done, contents to do).
        """
        wanted = store.without_parts(self.regions, digests) if self._regions else []
        step = self._together()
        for start in range(0, len(wanted), step):
            group = wanted[start : start + step]
            features = self._embed_parts([store.picture(digest) for digest in group])
            store.put_parts(self.regions, zip(group, features, strict=True))
            if progress:
                progress(start + len(group), len(wanted))

    def _together(self) -> int:
        """Images whose parts go through the network at once."""
        return max(1, _PARTS // max(1, len(self._regions)))

    def _cut(self, picture: bytes) -> list[Pixels]:
        """The parts of a small picture, at the size of the network."""
        if not self._regions:
            return []
        image = decode_image(picture)
        return [
            resize_image(cut(image, region), self.plan.size, mode=self.plan.resize)
            for region in self._regions
        ]

    def _embed_parts(self, pictures: Sequence[bytes]) -> F32:
        """float32 ``[len(pictures), R, D]``."""
        features = np.empty((len(pictures), len(self._regions), self.dim), dtype=np.float32)
        step = self._together()
        for start in range(0, len(pictures), step):
            group = pictures[start : start + step]
            parts = [part for picture in group for part in self._cut(picture)]
            features[start : start + step] = self._runner.embed(parts).reshape(
                len(group), -1, self.dim
            )
        return features

    def _prepare(self, source: Source, store: ImageStore) -> _Decoded:
        try:
            data = source.data if isinstance(source.data, bytes) else read_file(source.data)
        except (ImageError, OSError) as error:
            reason = (
                error.reason
                if isinstance(error, ImageError)
                else f"cannot be read: {error.strerror or error}"
            )
            return _Decoded(source, failure=reason)
        digest = hashlib.sha256(data).hexdigest()
        if store.known(digest):
            return _Decoded(source, digest)
        try:
            facts, picture, pixels = self._decode(data)
        except ImageError as error:
            return _Decoded(source, digest, Facts(0, 0, len(data)), failure=error.reason)
        return _Decoded(source, digest, facts, picture, pixels)

    def _decode(self, data: bytes) -> tuple[Facts, bytes, Pixels]:
        image = decode_image(data, max_pixels=self._max_pixels)
        facts = read_facts(data, image)
        small = image if max(image.shape[:2]) <= self._side else working_image(image, self._side)
        return facts, _jpeg(small), resize_image(image, self.plan.size, mode=self.plan.resize)

    def _flush(self, batch: list[_Decoded], store: ImageStore) -> list[IngestResult]:
        batch = self._settled(batch, store)
        fresh = {item.digest: item for item in batch if item.pixels is not None}
        features = self._runner.embed(
            [item.pixels for item in fresh.values() if item.pixels is not None]
        )
        vector = dict(zip(fresh, features, strict=True))
        usable = (
            [digest for digest in fresh if _usable(vector[digest]) is not None]
            if self._regions
            else []
        )
        parts = dict(
            zip(
                usable, self._embed_parts([fresh[digest].picture for digest in usable]), strict=True
            )
        )
        records = [
            Record(
                item.digest,
                item.facts,
                _usable(vector.get(item.digest)),
                item.picture,
                _reason(item, vector),
                parts.get(item.digest),
            )
            for item in batch
            if item.facts is not None
        ]
        names = [
            Name(
                item.source.name,
                item.digest,
                item.source.label,
                item.source.size,
                item.source.changed,
            )
            for item in batch
            if item.digest
        ]
        store.put(records, names, regions=self.regions)
        # A content that was known before may have been known to be unusable.
        broken = store.failures([item.digest for item in batch if item.digest])
        return [
            IngestResult(
                item.source,
                item.digest,
                broken.get(item.digest, item.failure),
                item.pixels is not None,
            )
            for item in batch
        ]

    def _settled(self, batch: list[_Decoded], store: ImageStore) -> list[_Decoded]:
        """A batch in which exactly the first of each content that the store lacks is decoded.

        Images are prepared ahead of what is stored: since then a content may have come with an
        earlier batch, or gone with the last name that pointed at it.
        """
        there = store.known_among([item.digest for item in batch if item.digest])
        settled = []
        for item in batch:
            if item.digest in there:
                item = _Decoded(item.source, item.digest)
            elif item.digest and item.facts is None:
                item = self._prepare(item.source, store)
            if item.digest:
                there.add(item.digest)
            settled.append(item)
        return settled


def _usable(feature: F32 | None) -> F32 | None:
    return (
        feature if feature is not None and np.isfinite(feature).all() and np.any(feature) else None
    )


def _reason(item: _Decoded, vectors: dict[str, F32]) -> str:
    if item.failure or _usable(vectors.get(item.digest)) is not None:
        return item.failure
    return "the model gives it no direction"


def _jpeg(image: Pixels) -> bytes:
    done, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise ImageError("cannot be drawn small")
    return bytes(data.tobytes())


def _ahead(
    work: Callable[[Source], _Decoded], sources: Iterable[Source], threads: int
) -> Iterator[_Decoded]:
    """Results in order, computed in threads, at most two batches ahead of the reader."""
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
