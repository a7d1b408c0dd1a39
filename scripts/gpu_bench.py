"""Measure on a device for check_gpu.py: sizes, time, memory, rows of results."""

from __future__ import annotations

import gc
import json
import os
import platform
import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

GIB = 2**30


@dataclass(frozen=True)
class Sizes:
    """Sizes of a scale."""

    side: int  # of a square matrix product
    copied: int  # bytes of a copy
    queries: int
    references: int
    dim: int
    images: int
    backbone: str  # of the second network that embeds
    steps: int
    training: tuple[str, ...]  # keys of the training
    compiled: bool  # also steps of a compiled network, which takes a minute to compile


SCALES = {
    "full": Sizes(8192, 2 * GIB, 50_000, 1_000_000, 512, 3000, "resnet50", 12, (), True),
    "tiny": Sizes(
        256,
        2**22,
        200,
        3000,
        32,
        8,
        "test_resnet",
        4,
        (
            "data.identities=2",
            "data.views=2",
            "data.sizes=[32]",
            "model.size=32",
            "model.backbone=test_resnet",
            "model.hidden=[64]",
            "model.dim=64",
        ),
        False,
    ),
}


@dataclass(frozen=True)
class Machine:
    """Where things run.

    Attributes:
        kind: cuda or cpu.
        torch_device: of tensors. Tests put them on the CPU, behind a stand-in for torch.cuda.
    """

    kind: str
    torch_device: str

    @property
    def accelerator(self) -> str:
        """Lightning's name for the device."""
        return "cpu" if self.torch_device == "cpu" else "gpu"

    def wait(self) -> None:
        """Wait for what the device was asked for."""
        if self.kind == "cuda":
            torch.cuda.synchronize()

    def name(self) -> str:
        if self.kind == "cuda":
            return str(torch.cuda.get_device_name())
        return f"cpu ({platform.processor() or platform.machine()}, {os.cpu_count()} cores)"

    def used(self) -> int:
        """Bytes in use: of the whole device, FAISS's included; without one, the process's peak."""
        if self.kind == "cuda":
            free, total = torch.cuda.mem_get_info()
            return int(total - free)
        return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def free_caches(self) -> None:
        gc.collect()
        if self.kind == "cuda":
            torch.cuda.empty_cache()

    @contextmanager
    def peak(self) -> Iterator[list[int]]:
        """Yield a list whose first entry is the peak of ``used`` while the block runs."""
        self.free_caches()
        found, done = [self.used()], threading.Event()

        def sample() -> None:
            while not done.wait(0.01):
                found[0] = max(found[0], self.used())

        sampler = threading.Thread(target=sample, daemon=True)
        sampler.start()
        try:
            yield found
        finally:
            done.set()
            sampler.join()
            found[0] = max(found[0], self.used())


@dataclass
class Bench:
    """Where a section runs, and the file that its rows are appended to."""

    section: str
    machine: Machine
    sizes: Sizes
    rows: Path
    written: list[dict[str, Any]] = field(default_factory=list)

    def row(self, name: str, **values: Any) -> None:
        row = {"section": self.section, "name": name, **values}
        self.written.append(row)
        with self.rows.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    @contextmanager
    def guarded(self, name: str) -> Iterator[None]:
        """Turn an error into a row."""
        try:
            yield
        except Exception as error:  # whatever a driver, a compiler or a library raises
            text = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
            self.row(name, error=f"{type(error).__name__}: {text}")

    def timed(self, run: Callable[[], Any], *, repeats: int) -> tuple[float, Any]:
        """Median seconds, after one run that is not counted, and the last result."""
        times = []
        for _ in range(repeats + 1):
            self.machine.wait()
            start = time.perf_counter()
            result = run()
            self.machine.wait()
            times.append(time.perf_counter() - start)
        return float(np.median(times[1:])), result
