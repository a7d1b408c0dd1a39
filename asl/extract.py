"""Embed images into a feature store, each once, in order; run again, it embeds only what is new.

  python -m asl.extract images=PHOTOS model=asl_lite0 output=store
  python -m asl.extract images=shards.tar model=runs/mine/model.safetensors output=store workers=8
  python -m asl.extract images=list.txt model=lite0 output=store id_style=stem

images: a folder, an image, a .txt or .csv list, an uncompressed .tar, a .parquet. Unreadable images are listed in the
store with their reason; more than max_failure_rate of them stop the run (exit code 1). Killed at any moment, it goes
on where it stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from omegaconf import MISSING
from rich.console import Console

from asl.data.catalog import open_catalog
from asl.entry import entry_point
from asl.features.extract import extract
from asl.features.store import FeatureStore
from asl.models import load_embedder
from asl.report.progress import progress_bar
from asl.types import UsageError


@dataclass
class ExtractConfig:
    """Keys of ``python -m asl.extract``.

    Attributes:
        images: where the images are.
        model: ``asl_lite0``, ``lite0`` or the path of a saved embedder.
        output: folder of the store.
        id_style: ids are paths (``path``) or file names without suffix (``stem``, as in DISC21).
        batch_size: images per forward pass.
        workers: processes that decode.
        shard_size: images per shard.
        max_failure_rate: share of unreadable images above which the run stops.
        device: ``auto``, ``cpu``, ``cuda``.
    """

    images: str = MISSING
    model: str = "asl_lite0"
    output: str = MISSING
    id_style: str = "path"
    batch_size: int = 64
    workers: int = 1
    shard_size: int = 4096
    max_failure_rate: float = 0.1
    device: str = "auto"


def run(config: ExtractConfig) -> int:
    """Extract, and say what could not be read."""
    store = extract_images(config)
    console = Console()
    console.print(f"{len(store)} images embedded, {len(store.failures)} failed: {config.output}")
    for name, reason in store.failures[:10]:
        console.print(f"  [yellow]{name}[/]: {reason}")
    return 0


def extract_images(config: ExtractConfig) -> FeatureStore:
    """The store of a configuration."""
    if not Path(config.images).exists():
        raise UsageError(f"images: there is no {config.images}")
    catalog = open_catalog(config.images, id_style=config.id_style)  # type: ignore[arg-type]
    with progress_bar("embedding", unit="images") as progress:
        return extract(
            catalog,
            load_embedder(config.model),
            output=config.output,
            batch_size=config.batch_size,
            workers=config.workers,
            shard_size=config.shard_size,
            max_failure_rate=config.max_failure_rate,
            device=config.device,
            progress=progress,
        )


main = entry_point("extract", ExtractConfig, run)

if __name__ == "__main__":
    main()
