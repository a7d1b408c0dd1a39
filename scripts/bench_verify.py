"""Measure verified pairs per second on one core, and the time that each module takes.

    python scripts/bench_verify.py [--images DIR] [--queries 40] [--candidates 10] [--size 320]

Without a folder, generated scenes replace photographs. Every query is an edited copy of one
reference; its other candidates are second shots of the same scene and other scenes, so most pairs
are no copies, as in a real ranking.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

import asl.matching
from asl.data.scenes import render_scene
from asl.matching import Settings, Verifier, verify_pairs
from asl.types import ScoredPairs

Image = npt.NDArray[np.uint8]
ROOM = Path(asl.matching.__file__).parent
LISTED = 14  # modules whose share is printed


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--images",
        type=Path,
        default=None,
        help="folder of photographs instead of generated scenes",
    )
    parser.add_argument("--queries", type=int, default=40)
    parser.add_argument("--candidates", type=int, default=10)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    references, queries, pairs = make_pairs(options.images, options.queries, options.candidates)
    print_result(
        measure(references, queries, pairs, Settings(size=options.size)), as_json=options.json
    )


def make_pairs(
    folder: Path | None, count: int, candidates: int
) -> tuple[dict[str, Image], dict[str, Image], ScoredPairs]:
    """References, edited queries, and for every query its source and ``candidates - 1`` others."""
    references = _photographs(folder, 4 * count) if folder else _scenes(4 * count)
    names = sorted(references)
    queries = {
        f"q{n:04d}": edited(references[names[4 * n]], np.random.default_rng(n))
        for n in range(count)
    }
    rows = [
        (query, names[(4 * n + step) % len(names)], 1.0 - 0.05 * step)
        for n, query in enumerate(queries)
        for step in range(candidates)
    ]
    return (
        references,
        queries,
        ScoredPairs.from_ids(*(list(column) for column in zip(*rows, strict=True))),
    )


def _scenes(count: int) -> dict[str, Image]:
    return {f"r{n:05d}": render_scene(n // 4, look=n % 4) for n in range(count)}


def _photographs(folder: Path, count: int) -> dict[str, Image]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".jpg", ".png"})[
        :count
    ]
    return {
        f"r{n:05d}": cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        for n, path in enumerate(paths)
    }


def edited(image: Image, rng: np.random.Generator) -> Image:
    """A crop with changed tone, mirrored half of the time."""
    height, width = image.shape[:2]
    top, left = (int(rng.uniform(0, 0.3) * side) for side in (height, width))
    view = image[top : top + int(0.7 * height), left : left + int(0.7 * width)]
    view = view[:, ::-1] if rng.random() < 0.5 else view
    return np.clip(
        view.astype(np.float32) * rng.uniform(0.7, 1.2) + rng.uniform(-20, 20), 0, 255
    ).astype(np.uint8)


def measure(
    references: dict[str, Image], queries: dict[str, Image], pairs: ScoredPairs, settings: Settings
) -> dict[str, Any]:
    """Measure pairs per CPU second, and the share of every step with cached references."""
    verifier = Verifier(settings=settings)
    with tempfile.TemporaryDirectory() as folder:
        arguments: dict[str, Any] = {
            "load_query": queries.__getitem__,
            "load_reference": references.__getitem__,
            "verifier": verifier,
        }
        cold = _rate(lambda: verify_pairs(pairs, **arguments), len(pairs))
        arguments["cache"] = Path(folder)
        verify_pairs(pairs, **arguments)
        warm = max(_rate(lambda: verify_pairs(pairs, **arguments), len(pairs)) for _ in range(2))
        profile = cProfile.Profile()
        profile.runcall(verify_pairs, pairs, **arguments)
    return {
        "pairs": len(pairs),
        "candidates_per_query": len(pairs) // len(queries),
        "size": settings.size,
        "pairs_per_second_nothing_cached": round(cold, 1),
        "pairs_per_second_cached_references": round(warm, 1),
        "share_of_time": _shares(pstats.Stats(profile)),
    }


def _rate(work: Any, pairs: int) -> float:
    started = time.process_time()
    work()
    return pairs / (time.process_time() - started)


def _shares(stats: pstats.Stats) -> dict[str, float]:
    """Share of the time of every module of ``asl.matching``, with the libraries that it calls."""
    table: dict[Any, Any] = stats.stats  # type: ignore[attr-defined]
    total = sum(row[2] for row in table.values())
    spent: Counter[str] = Counter()
    for (path, _, _), (_, _, own, _, callers) in table.items():
        if module := _module(path):
            spent[module] += own
            continue
        for (caller, _, _), (_, _, _, whole) in callers.items():
            if module := _module(caller):
                spent[module] += whole
    shares = {module: round(time / total, 3) for module, time in spent.most_common(LISTED)}
    shares["the rest"] = round(max(0.0, 1.0 - sum(shares.values())), 3)
    return shares


def _module(path: str) -> str:
    """Path of a module of ``asl.matching`` below it; empty for other files."""
    return Path(path).relative_to(ROOM).as_posix() if Path(path).is_relative_to(ROOM) else ""


def print_result(result: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(result))
        return
    for key, value in result.items():
        if key == "share_of_time":
            print("share of time (cached references):")
            for label, share in value.items():
                print(f"  {label:32s} {100 * share:5.1f} %")
        else:
            print(f"{key:38s} {value}")


if __name__ == "__main__":
    main()
