r"""Compare extraction with the limits that decoding and the model set, in one run.

  python scripts/bench_extract.py PHOTOS
  python scripts/bench_extract.py PHOTOS --model asl_lite0 --workers 0 --images 600 \
      --output bench_extract.json

Three contestants take turns on the same images: *decode* reads, decodes and resizes with the same
workers and no model; *model* embeds pixels that are in memory; *extract* is the whole way from
files to a store on disk. The limit is the slower of the first two where they run on different
devices. On one CPU they share its cores, and both together take 1 / (1/decode + 1/model); both
limits are printed. Medians over the repeats. *fast* is extract with fast_decode=true, with the
distance of its features from the others.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asl.data.catalog import Catalog, open_catalog, subset
from asl.features.cropping import Region
from asl.features.decoded_batches import decoded_batches
from asl.features.embed_options import EmbedOptions
from asl.features.extraction import extract_together
from asl.features.inference import Runner
from asl.features.regions import regions_of
from asl.models import Embedder, load_embedder
from asl.shared_defaults import SHARD_SIZE
from asl.types import AslError


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path)
    parser.add_argument("--model", default="asl_lite0")
    parser.add_argument(
        "--regions", default="none", help="parts of the images instead of the whole"
    )
    parser.add_argument(
        "--images", type=int, default=600, help="how many of the photos, evenly chosen"
    )
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument(
        "--workers", type=int, help="that decode; as asl.extract chooses unless given"
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    try:
        catalog = open_catalog(options.photos)
    except AslError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    rows = np.unique(
        np.linspace(0, len(catalog) - 1, min(options.images, len(catalog))).astype(np.int64)
    )
    report = measure(subset(catalog, rows), load_embedder(options.model), options)
    print(table(report))
    if options.output:
        options.output.write_text(json.dumps(report, indent=1) + "\n")
    return 0


def measure(catalog: Catalog, embedder: Embedder, options: argparse.Namespace) -> dict[str, Any]:
    """Images per second of each contestant, in turns."""
    regions: list[Region | None] = [*regions_of(options.regions)] or [None]
    group = max(1, options.batch_size // len(regions))
    runner = Runner(embedder, options.device)
    if options.workers is None:
        options.workers = runner.decoders()

    def batches() -> Any:
        rows = np.arange(len(catalog), dtype=np.int64)
        plan = embedder.preprocessing
        return decoded_batches(
            catalog,
            plan,
            regions,
            rows,
            batch_size=group,
            workers=options.workers,
            shard_size=SHARD_SIZE,
            fast=False,
        )

    kept = [[picture for parts in images for picture in parts] for _, images, *_ in batches()]

    def extracted(fast: bool) -> np.ndarray:
        with tempfile.TemporaryDirectory() as folder:
            outputs = {Path(folder) / str(number): region for number, region in enumerate(regions)}
            stores = extract_together(
                catalog,
                embedder,
                outputs,
                EmbedOptions(
                    batch_size=options.batch_size,
                    workers=options.workers,
                    device=options.device,
                    fast_decode=fast,
                ),
            )
            return np.concatenate([part.embeddings().vectors for part in stores])

    contestants: dict[str, Callable[[], object]] = {
        "decode": lambda: sum(len(images) for _, images, *_ in batches()),
        "model": lambda: [runner.embed(pictures) for pictures in kept],
        "extract": lambda: extracted(False),
        "fast": lambda: extracted(True),
    }
    change = 1.0 - np.einsum("nd,nd->n", extracted(False), extracted(True))
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for run in contestants.values():
        run()  # once, unmeasured
    for _ in range(options.repeats):
        for name, run in contestants.items():
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)
    rates = {name: len(catalog) / float(np.median(values)) for name, values in seconds.items()}
    device = Runner(embedder, "auto").device
    name = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else platform.processor() or platform.machine()
    )
    return {
        "images": len(catalog),
        "regions": len(regions),
        "workers": options.workers,
        "batch_size": options.batch_size,
        "size": embedder.preprocessing.size,
        "device": f"{name}, {torch.get_num_threads()} threads",
        "rates": rates,
        "fast_change": {"mean": float(change.mean()), "largest": float(change.max())},
        "of_slower": rates["extract"] / min(rates["decode"], rates["model"]),
        "of_shared": rates["extract"] * (1 / rates["decode"] + 1 / rates["model"]),
    }


def table(report: dict[str, Any]) -> str:
    """The report for people."""
    rates = report["rates"]
    lines = [
        f"{report['images']} images, {report['regions']} part(s) of each, {report['size']} px",
        f"batch {report['batch_size']}, {report['workers']} worker(s); {report['device']}",
        *(f"{name:8} {rate:9.1f} images/s" for name, rate in rates.items()),
        f"extract / min(decode, model) {report['of_slower']:.2f}",
        f"extract / (both on the same cores, one after the other) {report['of_shared']:.2f}",
        "fast: 1 - cosine to the full decoder's features "
        "{mean:.5f} on average, {largest:.5f} at most".format(**report["fast_change"]),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
