"""The sample benchmark: generated scenes in the shape of NDEC, without a download."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from asl.data.hard_pair_lists import write_hard_pairs
from asl.data.scenes import render_scene
from asl.data.synthetic_benchmark import BenchmarkPlan, BenchmarkSources, write_benchmark
from asl.edits.benchmark_kinds import benchmark_kinds
from asl.storage import atomic_folder
from asl.types import Progress, StrArray

VERSION = 1  # raised when the same seed makes other images


_BENCHMARK = BenchmarkPlan(copies=140, distractor_queries=100, reverse_crops=60, group_negatives=60)


@dataclass(frozen=True)
class SamplePlan:
    """Numbers of scenes; ``python -m asl.train`` uses the defaults.

    Attributes:
        train: training scenes.
        looks: training scenes that have a second view, as hard-negative pairs.
        photos: scenes of the benchmark.
        groups: scenes of the benchmark with several views.
        benchmark: copies, distractors and hard negatives.
        height: pixels.
        width: pixels.
    """

    train: int = 480
    looks: int = 120
    photos: int = 520
    groups: int = 30
    benchmark: BenchmarkPlan = _BENCHMARK
    height: int = 192
    width: int = 256


@dataclass(frozen=True, eq=False)
class SceneCatalog:
    """Scenes that are rendered when they are read.

    Attributes:
        ids: ``[N]`` unique strings.
        seeds: of each scene.
        looks: number of the view of each scene.
        size: (height, width) in pixels.
    """

    ids: StrArray
    seeds: tuple[int, ...]
    looks: tuple[int, ...]
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, row: int) -> bytes:
        """Return a scene as PNG bytes."""
        image = render_scene(
            self.seeds[row], look=self.looks[row], height=self.size[0], width=self.size[1]
        )
        encoded: bytes = cv2.imencode(".png", image[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])[
            1
        ].tobytes()
        return encoded

    def locate(self, row: int) -> str:
        """Return the numbers that a scene is rendered from."""
        return f"scene {self.seeds[row]}, look {self.looks[row]}"

    def stamp(self, row: int) -> str:
        """Return the numbers that a scene is rendered from; they are all that it depends on."""
        return f"{VERSION} {self.seeds[row]} {self.looks[row]} {self.size}"


def _scenes(first: int, count: int, plan: SamplePlan, looks: int = 1) -> SceneCatalog:
    seeds = [first + number for number in range(count) for _ in range(looks)]
    numbers = list(range(looks)) * count
    ids = np.array([f"{seed}-{look}" for seed, look in zip(seeds, numbers, strict=True)])
    return SceneCatalog(ids, tuple(seeds), tuple(numbers), (plan.height, plan.width))


def cache_folder() -> Path:
    """Return ``$ASL_CACHE``, or ``asl`` in the user's cache folder."""
    if os.environ.get("ASL_CACHE"):
        return Path(os.environ["ASL_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "asl"


def sample_benchmark(
    cache: Path | None = None,
    *,
    seed: int = 0,
    plan: SamplePlan | None = None,
    progress: Progress | None = None,
) -> Path:
    """Return the folder of the sample benchmark; it is generated on first use.

    Args:
        cache: folder that holds it; default :func:`cache_folder`.
        seed: of the scenes.
        plan: numbers of scenes.
        progress: called with (images written, images to write) while it is generated.

    Returns:
        A benchmark folder with ``train/`` and ``hard_pairs.csv``; the same bytes for the same seed
        and plan.
    """
    plan = plan or SamplePlan()
    name = f"sample-{VERSION}-{seed}" + ("" if plan == SamplePlan() else f"-{abs(hash(plan)):x}")
    folder = (cache or cache_folder()) / name
    if (folder / "manifest.json").is_file() and (folder / "hard_pairs.csv").is_file():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    base = 10_000_000 * (seed + 1)
    groups = [_scenes(base + 900_000 + number, 1, plan, looks=4) for number in range(plan.groups)]
    sources = BenchmarkSources(
        _scenes(base, plan.photos, plan),
        groups={"scene": groups},
        licences={"scenes": "generated, MIT"},
    )
    both = _Both(progress, plan.train + min(plan.train, plan.looks))
    with atomic_folder(folder) as making:
        write_benchmark(
            making, sources, kinds=benchmark_kinds(), plan=plan.benchmark, progress=both.benchmark
        )
        _write_training(making, base + 500_000, plan, progress=both.training)
    return folder


class _Both:
    """One count for the images of the benchmark and, after them, those of the training."""

    def __init__(self, progress: Progress | None, training: int) -> None:
        self._progress, self._training = progress, training
        self._before = 0

    def benchmark(self, done: int, total: int) -> None:
        self._before = total
        if self._progress:
            self._progress(done, total + self._training)

    def training(self, done: int, total: int) -> None:
        if self._progress:
            self._progress(self._before + done, self._before + total)


def _write_training(folder: Path, first: int, plan: SamplePlan, *, progress: Progress) -> None:
    (folder / "train").mkdir()
    pairs = []
    written, total = 0, plan.train + min(plan.train, plan.looks)
    for number in range(plan.train):
        looks = 2 if number < plan.looks else 1
        for look in range(looks):
            image = render_scene(first + number, look=look, height=plan.height, width=plan.width)
            path = folder / "train" / f"T{number:06d}{'b' * look}.jpg"
            cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
            written += 1
            progress(written, total)
        if looks == 2:
            pairs.append((f"T{number:06d}", f"T{number:06d}b"))
    write_hard_pairs(pairs, folder / "hard_pairs.csv")
