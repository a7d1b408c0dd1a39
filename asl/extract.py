"""Embed images into a feature store, each once, in order; run again, it embeds only what is new.

  python -m asl.extract images=PHOTOS model=asl_lite0 output=store
  python -m asl.extract images=shards.tar model=runs/mine/model.safetensors output=store workers=8
  python -m asl.extract images=list.txt model=lite0 output=store id_style=stem
  python -m asl.extract images=PHOTOS output=store part=3/8      the third of eight tasks, each on a
  machine of its own python -m asl.extract images=PHOTOS output=store merge=8       join the eight
  parts once all of them are finished python -m asl.extract images=PHOTOS output=store
  index=library.index python -m asl.extract images=PHOTOS output=store prune=0.1      forget images
  that are gone, a tenth of them at most python -m asl.extract images=PHOTOS output=store
  regions=fine   parts of the
  images, too: small crops are found

images: a folder, an image, a .txt or .csv list, an uncompressed .tar or a folder of them, a
.parquet. Unreadable images are listed in the store with their reason; more than max_failure_rate of
them stop the run (exit code 1). Killed at any moment, it goes on where it stopped. A part lies
beside the output; the joined store is byte-identical to one of a single machine. An index holds
what a search needs, sorted and memory-mapped; asl.search takes it as references=.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from omegaconf import MISSING
from rich.console import Console

from asl.console.entry import entry_point
from asl.console.progress import progress_bar
from asl.data.catalog import Catalog, FileCatalog, open_catalog, skipped_text, subset
from asl.features.array_jobs import join_parts, parse_part, part_path, part_rows
from asl.features.feature_store import FeatureStore
from asl.features.regions import regions_of
from asl.features.store_groups import forget_gone, gone_images, verify_all
from asl.index.milvus.address import fill_served, is_served
from asl.index.milvus.index_type import IndexKind
from asl.index.saved_index import SavedIndex
from asl.models import load_embedder
from asl.models.scores import find_calibrations
from asl.pipeline.benchmark_run import embed_images
from asl.types import AslError, UsageError


@dataclass
class ExtractConfig:
    """Keys of ``python -m asl.extract``.

    Attributes:
        images: where the images are.
        model: ``asl_lite0``, ``lite0`` or the path of a saved embedder.
        output: folder of the store.
        size: pixels of the images instead of the model's own; stores of several sizes can be
            searched as one.
        id_style: ids are paths (``path``) or file names without suffix (``stem``, as in DISC21).
        batch_size: images per forward pass.
        workers: processes that decode; null: none beside a model on the CPU, one a core with a GPU.
        shard_size: images per shard.
        max_failure_rate: share of unreadable images above which the run stops.
        device: ``auto``, ``cpu``, ``cuda``.
        part: I/N embeds the I-th of N parts only, for array jobs.
        merge: joins so many finished parts; embeds nothing.
        index: folder of an index that is written from the finished store, or ``milvus+ADDRESS``: a
            collection there.
        milvus_index: index type of a new collection with its parameters
            (``'milvus_index="HNSW,M=16"'``, ``IVF_SQ8`` ...); all but ``FLAT`` are approximate.
        prune: images that are no longer among ``images`` are forgotten, in the store and in the
            index that is written from it, up to this share of them; more are an error (a wrong
            folder, a disk that is missing). null: none.
        verify: compares every shard of a store that is there with its hash first.
        fast_decode: large JPEGs are decoded at a half, a quarter or an eighth of their size:
            faster, features differ a little (docs/performance.md); give it for queries and
            references alike.
        regions: parts of every image that are embedded, too: ``none``, ``coarse`` (6), ``fine``
            (15).
    """

    images: str = MISSING
    model: str = "asl_lite0"
    output: str = MISSING
    size: int | None = None
    id_style: str = "path"
    batch_size: int = 64
    workers: int | None = None
    shard_size: int = 4096
    max_failure_rate: float = 0.1
    device: str = "auto"
    part: str | None = None
    merge: int | None = None
    index: str | None = None
    milvus_index: str = "FLAT"
    prune: float | None = None
    verify: bool = False
    fast_decode: bool = False
    regions: str = "none"


def run(config: ExtractConfig) -> int:
    """Extract, and say what could not be read."""
    if regions_of(config.regions) and (config.part or config.merge is not None):
        raise UsageError(
            "regions: are extracted on one machine, after the parts are joined: run it once more on output"
        )
    if config.index and config.part:
        raise UsageError(
            "index: is written from a whole store; give it with merge=, not with part="
        )
    if config.prune is not None and not 0 <= config.prune <= 1:
        raise UsageError(f"prune: must be in 0..1, got {config.prune:g}")
    if config.prune is not None and (config.part or config.merge is not None):
        raise UsageError(
            "prune: is for stores of one machine; delete the parts and extract them again"
        )
    if config.milvus_index != "FLAT" and not is_served(config.index or ""):
        raise UsageError("milvus_index: goes with index=milvus+ADDRESS")
    if is_served(config.index or ""):
        IndexKind.of(config.milvus_index).check_place(str(config.index))
    processes = os.environ.get("WORLD_SIZE", "1")
    if processes != "1" and not config.part:
        raise UsageError(
            f"part: each of {processes} processes needs a part of its own; docs/scale.md has the lines"
        )
    if config.verify:
        verify_all(
            part_path(config.output, *parse_part(config.part)) if config.part else config.output
        )
    store = join_images(config) if config.merge is not None else extract_images(config)
    console = Console()
    console.print(f"{len(store)} images embedded, {len(store.failures)} failed: {store.path}")
    for name, reason in store.failures[:10]:
        console.print(f"  [yellow]{name}[/]: {reason}")
    if config.index:
        console.print(f"index of {_write_index(config, store)} images: {config.index}")
    return 0


def _write_index(config: ExtractConfig, store: FeatureStore) -> int:
    address, model = str(config.index), store.manifest["model"]
    fast = bool(store.manifest["preprocessing"].get("fast_decode"))
    if not is_served(address):
        return len(SavedIndex.create(address, store.pieces(), model=model, fast_decode=fast))
    soft = find_calibrations(config.model, model).get(
        "soft"
    )  # as a search without a collection would clip
    forgotten = store.forgotten() if config.prune is not None else set()
    with progress_bar("filling the collection", unit="images") as progress:
        return fill_served(
            address,
            list(store.pieces()),
            model=model,
            fast_decode=fast,
            clip=soft.score.clip if soft else None,
            kind=config.milvus_index,
            without=forgotten,
            progress=progress,
        )


def extract_images(config: ExtractConfig) -> FeatureStore:
    """The store of a configuration, or the part of it that is asked for."""
    catalog = _catalog(config)
    output = Path(config.output)
    if config.part:
        part, of = parse_part(config.part)
        rows = part_rows(len(catalog), shard_size=config.shard_size, part=part, of=of)
        catalog, output = subset(catalog, rows), part_path(output, part, of)
    if config.prune is not None:
        gone_images(
            output, catalog.ids.tolist(), share=config.prune
        )  # better refused now than after the work
    store = embed_images(
        catalog,
        load_embedder(config.model, size=config.size),
        output,
        role="images",
        regions=config.regions,
        batch_size=config.batch_size,
        workers=config.workers,
        shard_size=config.shard_size,
        max_failure_rate=config.max_failure_rate,
        device=config.device,
        fast_decode=config.fast_decode,
    )
    if config.prune is None:
        return store
    gone = forget_gone(output, catalog.ids.tolist(), share=config.prune)
    Console().print(f"{gone} image(s) forgotten that are no longer there")
    return FeatureStore.open(output)


def join_images(config: ExtractConfig) -> FeatureStore:
    """The parts of a store joined.

    Raises:
        AslError: a part is missing or not finished.
    """
    if config.part or not config.merge or config.merge < 1:
        raise UsageError(f"merge: expected the number of parts, and no part=, got {config.merge}")
    catalog = _catalog(config)
    paths = [part_path(config.output, part, config.merge) for part in range(1, config.merge + 1)]
    parts = [FeatureStore.open(path) for path in paths]
    done = {
        name
        for part in parts
        for name in [*part.ids.tolist(), *(name for name, _ in part.failures)]
    }
    missing = [name for name in catalog.ids.tolist() if name not in done]
    if missing:
        raise AslError(
            f"merge: {len(missing)} image(s) are in no part, e.g. {missing[0]!r}; finish the parts first"
        )
    return join_parts(config.output, parts)


def _catalog(config: ExtractConfig) -> Catalog:
    if not Path(config.images).exists():
        raise UsageError(f"images: there is no {config.images}")
    catalog = open_catalog(config.images, id_style=config.id_style)  # type: ignore[arg-type]
    if isinstance(catalog, FileCatalog) and catalog.skipped:
        Console().print(f"skipped: {skipped_text(catalog.skipped)}")
    return catalog


main = entry_point("extract", ExtractConfig, run)

if __name__ == "__main__":
    main()
