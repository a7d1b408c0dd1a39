"""Sections of check_gpu.py. Each runs in a process of its own and appends rows to a file.

  python scripts/gpu_sections.py SECTION {cuda,cpu} {full,tiny} ROWS.jsonl

A measurement that fails is a row with its error; the others of its section still run.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import torch  # before FAISS
from gpu_bench import SCALES, Bench, Machine
from gpu_search import search

ROOT = Path(__file__).resolve().parents[1]


def limits(bench: Bench) -> None:
    """Measure what the device can do: plain products of each precision, plain copies."""
    side, device = bench.sizes.side, bench.machine.torch_device
    for name, dtype, precision in (
        ("float32 product", torch.float32, "highest"),
        ("TF32 product", torch.float32, "high"),
        ("float16 product", torch.float16, "highest"),
        ("bfloat16 product", torch.bfloat16, "highest"),
    ):
        with bench.guarded(name):
            torch.set_float32_matmul_precision(precision)
            left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
            taken, _ = bench.timed(partial(torch.matmul, left, right), repeats=5)
            bench.row(name, value=2 * side**3 / taken / 1e12, unit="TFLOP/s")
    with bench.guarded("copy on the device"):
        source = torch.empty(bench.sizes.copied, dtype=torch.uint8, device=device)
        target = torch.empty_like(source)
        taken, _ = bench.timed(partial(target.copy_, source), repeats=5)
        bench.row("copy on the device", value=2 * source.nbytes / taken / 1e9, unit="GB/s")
    with bench.guarded("copy from the host"):
        pinned = torch.empty(bench.sizes.copied, dtype=torch.uint8)
        if bench.machine.kind == "cuda":
            pinned = pinned.pin_memory()
        taken, _ = bench.timed(partial(target.copy_, pinned), repeats=3)
        bench.row("copy from the host", value=pinned.nbytes / taken / 1e9, unit="GB/s")


def tests(bench: Bench) -> None:
    """Run the tests that need a GPU."""
    with tempfile.TemporaryDirectory() as folder, bench.guarded("tests marked gpu"):
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests/index"]
        command += ["-p", "no:cacheprovider", f"--basetemp={folder}/t", f"--junitxml={report}"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if not report.is_file():
            raise RuntimeError((done.stdout + done.stderr).strip()[-300:] or "pytest said nothing")
        for case in ElementTree.parse(report).getroot().iter("testcase"):
            name = str(case.get("name"))
            bad = case.find("failure") if case.find("error") is None else case.find("error")
            if bad is not None:
                bench.row(name, error=str(bad.get("message")).splitlines()[0][:300])
            elif (skipped := case.find("skipped")) is not None:
                reason = str(skipped.get("message"))
                failed = {"error": f"skipped: {reason}"} if bench.machine.kind == "cuda" else {}
                bench.row(name, note=f"skipped: {reason}", **failed)
            else:
                bench.row(name, note="passed")


def extraction(bench: Bench) -> None:
    """Embed drawn images from files, beside decoding and the model alone."""
    from bench_extract import measure

    from asl.data.catalog import open_catalog
    from asl.models import build_embedder, load_embedder

    backbone = bench.sizes.backbone
    models = {
        "asl_lite0": lambda: load_embedder("asl_lite0"),
        f"{backbone}, 224 px": lambda: build_embedder(backbone=backbone, size=224).eval(),
    }
    with tempfile.TemporaryDirectory() as folder:
        draw_images(Path(folder), bench.sizes.images)
        for title, make_model in models.items():
            with bench.guarded(title), bench.machine.peak() as peak:
                options = argparse.Namespace(
                    regions="none",
                    batch_size=64,
                    workers=None,
                    device=bench.machine.torch_device,
                    repeats=1,
                )
                report = measure(open_catalog(Path(folder)), make_model(), options)
                rates = report["rates"]
                for part in ("decode", "model", "extract"):
                    bench.row(f"{title}: {part}", value=rates[part], unit="images/s")
            if not any(row["name"] == title for row in bench.written):
                key = "of_slower" if bench.machine.kind == "cuda" else "of_shared"
                bench.row(f"{title}: extract / limit", value=report[key], peak=peak[0])


def draw_images(folder: Path, count: int) -> None:
    """Write JPEGs of 320 x 240: scenes, each under several names."""
    import cv2

    from asl.data.scenes import render_scene

    scenes = min(count, 64)
    for number in range(count):
        path = folder / f"{number:05}.jpg"
        if number < scenes:
            cv2.imwrite(str(path), render_scene(number)[..., ::-1])
        else:
            shutil.copyfile(folder / f"{number % scenes:05}.jpg", path)


def training(bench: Bench) -> None:
    """Take steps of experiment=asl beside a bare loop: float32, bf16, compiled."""
    import bench_train

    variants = {
        "float32": ("32-true", False),
        "bf16": ("bf16-mixed", False),
        "bf16, compiled": ("bf16-mixed", True),
    }
    with tempfile.TemporaryDirectory() as folder:
        draw_images(Path(folder), bench.sizes.images)
        prepared = bench_train.prepare(_training_keys(bench, folder), steps=bench.sizes.steps)
        views = len(prepared.batches[0]["images"])
        for title, (precision, compiled) in variants.items():
            if compiled and not bench.sizes.compiled:
                bench.row(title, note="not measured at this scale")
                continue
            with bench.guarded(title):
                prepared.settings.precision = precision
                prepared.settings.compile = compiled
                with bench.machine.peak() as peak:
                    bare = prepared.bare_step()
                bench.row(f"{title}: bare", value=views / bare, unit="views/s", peak=peak[0])
                with bench.machine.peak() as peak:
                    ours = prepared.lightning_step()
                bench.row(f"{title}: asl.train", value=views / ours, unit="views/s", peak=peak[0])
                bench.row(f"{title}: asl.train / bare", value=ours / bare, unit="x time")


def _training_keys(bench: Bench, folder: str) -> list[str]:
    return [
        "experiment=asl",
        "data=folder",
        f"data.train={folder}",
        "data.hard_pairs_as=none",
        "data.pairs=0",
        "model.pretrained=false",
        f"trainer.accelerator={bench.machine.accelerator}",
        *bench.sizes.training,
    ]


SECTIONS: dict[str, Callable[[Bench], None]] = {
    "limits": limits,
    "tests": tests,
    "search": search,
    "extraction": extraction,
    "training": training,
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("section", choices=SECTIONS)
    parser.add_argument("device", choices=("cuda", "cpu"))
    parser.add_argument("scale", choices=SCALES)
    parser.add_argument("rows", type=Path)
    options = parser.parse_args(arguments)
    bench = Bench(
        options.section,
        Machine(options.device, options.device),
        SCALES[options.scale],
        options.rows,
    )
    with bench.guarded(options.section):
        bench.row("device", device=bench.machine.name())
        SECTIONS[options.section](bench)
    return 0


if __name__ == "__main__":
    sys.exit(main())
