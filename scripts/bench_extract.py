r"""Compare extraction with the limits that decoding, the model and the cores set, in one run.

  python scripts/bench_extract.py PHOTOS
  python scripts/bench_extract.py PHOTOS --model asl_lite0 --workers 0 --images 600 \
      --output bench_extract.json

Contestants take turns on the same images: *decode* reads, decodes and resizes with the same workers
and no model; *model* embeds pixels that are in memory by the runner that extraction chooses;
*torch* does the same by torch; *extract* is the whole way from files to a store on disk. The limit
is the slower of the first two where they run on different devices. On one CPU they share its cores,
and both together take 1 / (1/decode + 1/model); both limits are printed. Medians over the repeats;
images per second of the clock, and of processor time, which other programs do not change. *fast* is
extract with fast_decode=true, with the distance of its features from the others.

The limit of the cores is a float32 matrix product of 2,048 x 2,048 in the same turns. Its share is
what the model multiplies and adds in a second, beside that.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from asl.data.catalog import Catalog, open_catalog, subset
from asl.data.images import Pixels
from asl.features.cropping import Region
from asl.features.decoded_batches import decoded_batches
from asl.features.embed_options import EmbedOptions
from asl.features.extraction import extract_together
from asl.features.regions import regions_of
from asl.features.runner import open_runner
from asl.features.torch_runner import TorchRunner
from asl.models import Embedder, SavedModel, open_model
from asl.models.io import restore
from asl.shared_defaults import SHARD_SIZE
from asl.types import F32, AslError

SIDE = 2048  # of the matrix product that names the limit


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
    report = measure(subset(catalog, rows), open_model(options.model), options)
    print(table(report))
    if options.output:
        options.output.write_text(json.dumps(report, indent=1) + "\n")
    return 0


def measure(
    catalog: Catalog, model: SavedModel | Embedder, options: argparse.Namespace
) -> dict[str, Any]:
    """Images per second of each contestant, in turns."""
    regions: list[Region | None] = [*regions_of(options.regions)] or [None]
    runner = open_runner(model, options.device)
    if options.workers is None:
        options.workers = runner.decoders()
    contest = Contest(catalog, model, regions, options)
    pictures = [picture for images in contest.decoded() for parts in images for picture in parts]
    by_torch = TorchRunner(restored(model), options.device)
    batches = [
        pictures[low : low + options.batch_size]
        for low in range(0, len(pictures), options.batch_size)
    ]
    square = torch.rand((SIDE, SIDE), generator=torch.Generator().manual_seed(0))
    contestants: dict[str, Callable[[], object]] = {
        "decode": lambda: sum(len(images) for images in contest.decoded()),
        "model": lambda: [runner.embed(batch) for batch in batches],
        "extract": lambda: contest.extracted(fast=False),
        "fast": lambda: contest.extracted(fast=True),
    }
    if by_torch.device.type == "cpu":
        contestants["torch"] = lambda: [by_torch.embed(batch) for batch in batches]
        contestants["product"] = lambda: torch.mm(square, square)
    change = contest.extracted(fast=False), contest.extracted(fast=True)
    cosine = np.einsum("nd,nd->n", *change)
    clock, processor = take_turns(contestants, options.repeats)
    rates = {name: len(catalog) / value for name, value in clock.items() if name != "product"}
    of_cores = {name: len(catalog) / value for name, value in processor.items() if name in rates}
    return {
        "images": len(catalog),
        "regions": len(regions),
        "workers": options.workers,
        "batch_size": options.batch_size,
        "size": runner.preprocessing.size,
        "runner": runner.name,
        "device": f"{device_name(by_torch.device)}, {torch.get_num_threads()} threads",
        "rates": rates,
        "rates_per_core": of_cores,
        **cores_limit(
            of_cores,
            gflop=1e-9 * operations(by_torch, pictures[0]) * len(regions),
            seconds=processor.get("product"),
        ),
        "fast_change": {"mean": float(1 - cosine.mean()), "largest": float(1 - cosine.min())},
        "of_slower": rates["extract"] / min(rates["decode"], rates["model"]),
        "of_shared": rates["extract"] * (1 / rates["decode"] + 1 / rates["model"]),
    }


def cores_limit(rates: dict[str, float], *, gflop: float, seconds: float | None) -> dict[str, Any]:
    """The limit of a core in GFLOP/s, and the shares of it that the runners reach."""
    if seconds is None:  # on a GPU
        return {}
    limit = 2e-9 * SIDE**3 / seconds
    share = {name: gflop * rates[name] / limit for name in ("model", "torch")}
    return {"gflop": gflop, "limit": limit, "share": share}


class Contest:
    """The images, model and settings that the contestants share."""

    def __init__(
        self,
        catalog: Catalog,
        model: SavedModel | Embedder,
        regions: list[Region | None],
        options: argparse.Namespace,
    ) -> None:
        self.catalog, self.model, self.regions, self.options = catalog, model, regions, options

    def decoded(self) -> Iterator[list[list[Pixels]]]:
        """Batches of images, each as its regions."""
        batches = decoded_batches(
            self.catalog,
            self.model.preprocessing,
            self.regions,
            np.arange(len(self.catalog), dtype=np.int64),
            batch_size=max(1, self.options.batch_size // len(self.regions)),
            workers=self.options.workers,
            shard_size=SHARD_SIZE,
            fast=False,
        )
        return (images for _, images, *_ in batches)

    def extracted(self, *, fast: bool) -> F32:
        """Unit vectors of all images and regions."""
        with tempfile.TemporaryDirectory() as folder:
            outputs = {Path(folder) / str(place): part for place, part in enumerate(self.regions)}
            settings = EmbedOptions(
                batch_size=self.options.batch_size,
                workers=self.options.workers,
                device=self.options.device,
                fast_decode=fast,
            )
            stores = extract_together(self.catalog, self.model, outputs, settings)
            return np.concatenate([part.embeddings().vectors for part in stores])


def take_turns(
    contestants: dict[str, Callable[[], object]], repeats: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Median seconds of the clock and of processor time, after one unmeasured round."""
    clock: dict[str, list[float]] = {name: [] for name in contestants}
    processor: dict[str, list[float]] = {name: [] for name in contestants}
    for run in contestants.values():
        run()
    for _ in range(repeats):
        for name, run in contestants.items():
            started, used = time.perf_counter(), time.process_time()
            run()
            clock[name].append(time.perf_counter() - started)
            processor[name].append(time.process_time() - used)
    return (
        {name: float(np.median(values)) for name, values in clock.items()},
        {name: float(np.median(values)) for name, values in processor.items()},
    )


def restored(model: SavedModel | Embedder) -> Embedder:
    """The network of a model."""
    return restore(model) if isinstance(model, SavedModel) else model


def operations(runner: TorchRunner, picture: Pixels) -> int:
    """Multiplications and additions for a picture."""
    with FlopCounterMode(display=False) as counter:
        runner.embed([picture])
    return int(counter.get_total_flops())


def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine()


def table(report: dict[str, Any]) -> str:
    """The report for people."""
    rates, cores = report["rates"], report["rates_per_core"]
    lines = [
        f"{report['images']} images, {report['regions']} part(s) of each, {report['size']} px",
        f"batch {report['batch_size']}, {report['workers']} worker(s); {report['device']}",
        f"model by {report['runner']}",
        *(
            f"{name:8} {rate:9.1f} images/s, {cores[name]:9.1f} a second of processor time"
            for name, rate in rates.items()
        ),
        f"extract / min(decode, model) {report['of_slower']:.2f}",
        f"extract / (both on the same cores, one after the other) {report['of_shared']:.2f}",
        "fast: 1 - cosine to the full decoder's features "
        "{mean:.5f} on average, {largest:.5f} at most".format(**report["fast_change"]),
    ]
    if share := report.get("share"):
        lines += [
            f"model / torch {rates['model'] / rates['torch']:.2f}, "
            f"in processor time {cores['model'] / cores['torch']:.2f}",
            f"{report['gflop']:.2f} GFLOP an image; limit of a core, a float32 matrix product: "
            f"{report['limit']:.0f} GFLOP/s; model {share['model']:.2f} of it, "
            f"torch {share['torch']:.2f}",
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
