"""``python -m asl.extract``: embed images into a feature store.

The keys and their explanation are in :mod:`asl.console.schemas.extract_config`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from asl.console.entry import EntryPoint
from asl.console.plain_console import PlainConsole
from asl.console.schemas.extract_config import ExtractConfig
from asl.counts import counted
from asl.errors import AslError, UsageError
from asl.pipeline.key_checks import check_least, refuse_unused

if TYPE_CHECKING:
    from asl.data.catalog import Catalog
    from asl.features.feature_store import FeatureStore


def run(config: ExtractConfig) -> int:
    """Extract or join, write an index where one is asked for, print what could not be read."""
    _check(config)
    if config.check_files:
        _check_files(config)
    earlier = _shards(_store_path(config))
    store = join_images(config) if config.merge is not None else extract_images(config)
    console = PlainConsole()
    console.say(f"{_embedded(store, earlier)}, {len(store.failures)} failed: {store.path}")
    for name, reason in store.failures[:10]:
        console.warn(f"  {name}: {reason}")
    if config.index:
        console.say(f"index of {counted(_write_index(config, store), 'image')}: {config.index}")
    return 0


def _check(config: ExtractConfig) -> None:
    """Refuse wrong values, and keys that do not go together, before anything is embedded."""
    from asl.index.milvus.address import check_kind, is_served
    from asl.storage import absent

    check_least(config, {"batch_size": 1, "shard_size": 1, "workers": 0, "size": 1})
    if not 0 <= config.max_failure_rate <= 1:
        raise UsageError(f"max_failure_rate: must be in 0..1, got {config.max_failure_rate:g}")
    in_parts = bool(config.part) or config.merge is not None
    if config.regions != "none" and in_parts:
        raise UsageError(
            "regions: are extracted on one machine, after the parts are joined: "
            "run it once more on output"
        )
    if config.index and config.part:
        raise UsageError(
            "index: is written from a whole store; give it with merge=, not with part="
        )
    if config.prune is not None and not 0 <= config.prune <= 1:
        raise UsageError(f"prune: must be in 0..1, got {config.prune:g}")
    if config.prune is not None and in_parts:
        raise UsageError(
            "prune: is for stores of one machine; delete the parts and extract them again"
        )
    if config.merge is not None and (config.part or config.merge < 1):
        raise UsageError(f"merge: expected the number of parts, and no part=, got {config.merge}")
    if not is_served(config.index or ""):
        refuse_unused(config, ("milvus_index",), reason="without index=milvus+ADDRESS")
    else:
        check_kind(str(config.index), config.milvus_index)
    processes = os.environ.get("WORLD_SIZE", "1")
    if processes != "1" and not config.part:
        raise UsageError(
            f"part: each of {processes} processes needs a part of its own; "
            "docs/scale.md has the lines"
        )
    if not Path(config.images).exists():
        raise UsageError(f"images: {absent(config.images)}")


def _check_files(config: ExtractConfig) -> None:
    from asl.features.store_groups import verify_all

    verify_all(_store_path(config))


def _store_path(config: ExtractConfig) -> Path:
    from asl.features.array_jobs import parse_part, part_path

    output = Path(config.output)
    return part_path(output, *parse_part(config.part)) if config.part else output


def _shards(path: Path) -> int:
    """Return the number of shards of a store, 0 where none is."""
    from asl.features.feature_store import FeatureStore

    return len(FeatureStore.open(path).manifest["shards"]) if FeatureStore.is_store(path) else 0


def _embedded(store: FeatureStore, earlier: int) -> str:
    """Say how many images a store holds, and how many this run added to its earlier shards."""
    images = f"{counted(len(store), 'image')} embedded"
    if not earlier:
        return images
    new = sum(shard["images"] for shard in store.manifest["shards"][earlier:])
    return f"{images} ({new} new, {len(store) - new} known)"


def _write_index(config: ExtractConfig, store: FeatureStore) -> int:
    """Write the index of a store; return how many images it holds."""
    from asl.console.progress import progress_bar
    from asl.index.milvus.address import fill_served, is_served
    from asl.index.saved_index import SavedIndex
    from asl.models.score_constants import find_calibrations

    address, model = str(config.index), store.manifest["model"]
    fast = bool(store.manifest["preprocessing"].get("fast_decode"))
    if not is_served(address):
        return len(SavedIndex.create(address, store.pieces(), model=model, fast_decode=fast))
    # The collection clips log-norms as a search of the store would.
    soft = find_calibrations(config.model, model).get("soft")
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
            stamps=store.stamps(),
            progress=progress,
        )


def extract_images(config: ExtractConfig) -> FeatureStore:
    """Embed the images of a configuration, or the part of them that it names."""
    from asl.data.catalog import subset
    from asl.features.array_jobs import parse_part, part_path, part_rows
    from asl.features.embed_options import EmbedOptions
    from asl.features.feature_store import FeatureStore
    from asl.features.store_groups import forget_gone, gone_images
    from asl.models import open_model
    from asl.pipeline.features import embed_images

    catalog = _catalog(config)
    output = Path(config.output)
    if config.part:
        part, of = parse_part(config.part)
        rows = part_rows(len(catalog), shard_size=config.shard_size, part=part, of=of)
        catalog, output = subset(catalog, rows), part_path(output, part, of)
    if config.prune is not None:  # refused before the work rather than after it
        gone_images(output, catalog.ids.tolist(), share=config.prune)
    store = embed_images(
        catalog,
        open_model(config.model, size=config.size),
        output,
        role="images",
        regions=config.regions,
        options=EmbedOptions(
            batch_size=config.batch_size,
            workers=config.workers,
            shard_size=config.shard_size,
            max_failure_rate=config.max_failure_rate,
            device=config.device,
            fast_decode=config.fast_decode,
        ),
    )
    if config.prune is None:
        return store
    gone = forget_gone(output, catalog.ids.tolist(), share=config.prune)
    PlainConsole().say(f"{counted(gone, 'image')} forgotten: no longer there")
    return FeatureStore.open(output)


def join_images(config: ExtractConfig) -> FeatureStore:
    """Join the parts of a store.

    Raises:
        AslError: a part is missing or not finished.
    """
    from asl.features.array_jobs import join_parts, part_path
    from asl.features.feature_store import FeatureStore

    catalog, count = _catalog(config), config.merge or 0
    paths = [part_path(config.output, part, count) for part in range(1, count + 1)]
    parts = [FeatureStore.open(path) for path in paths]
    done = {
        name
        for part in parts
        for name in [*part.ids.tolist(), *(name for name, _ in part.failures)]
    }
    missing = [name for name in catalog.ids.tolist() if name not in done]
    if missing:
        raise AslError(
            f"merge: {counted(len(missing), 'image is', 'images are')} in no part, e.g. "
            f"{missing[0]!r}; finish the parts first"
        )
    return join_parts(config.output, parts)


def _catalog(config: ExtractConfig) -> Catalog:
    from asl.data.catalog import FileCatalog, open_catalog, skipped_text

    catalog = open_catalog(config.images, id_style=config.id_style)
    if isinstance(catalog, FileCatalog) and catalog.skipped:
        PlainConsole().say(f"skipped: {skipped_text(catalog.skipped)}")
    return catalog


main = EntryPoint("extract", run)

if __name__ == "__main__":
    main()
