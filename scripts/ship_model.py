"""Prepare a trained model for release: score constants, calibration, card.

  python scripts/ship_model.py runs/mine CALIBRATION OUT.safetensors --data "Caltech-101 (CC BY
  4.0)"

CALIBRATION is a benchmark folder (scripts/make_benchmark.py) of photographs that are neither
trained on nor reported on. lam and tau of `hinge` and lam of `soft` are the smallest within one
standard error of the best µAP there; every score gets its probability curve and its thresholds.
Weights are stored in half precision.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asl.data.layouts import Benchmark, open_benchmark
from asl.features.embed_options import EmbedOptions
from asl.metrics.average_precision import label_pairs
from asl.metrics.evaluation import evaluate
from asl.models import Embedder, load_embedder, model_hash, save_embedder
from asl.models.model_card import read_card
from asl.models.saved_model import model_path
from asl.pipeline.benchmark_run import every_mode, score_modes
from asl.pipeline.features import embed_benchmark
from asl.pipeline.inputs import SearchInput
from asl.scoring.calibration import Calibration, calibrate
from asl.scoring.score import Score
from asl.types import AslError, ScoredPairs, TruthPairs

LAMBDAS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3)
TAUS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("calibration", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument(
        "--data", required=True, help="training images and their licence, for the card"
    )
    parser.add_argument(
        "--calibration-data", default="", help="calibration images and their licence, for the card"
    )
    parser.add_argument(
        "--start",
        default="",
        help="weights that the training started from and their licence, for the card",
    )
    parser.add_argument("--licence", default="MIT")
    options = parser.parse_args()
    try:
        embedder, benchmark = load_embedder(options.model), open_benchmark(options.calibration)
        halve(embedder)
        with tempfile.TemporaryDirectory() as folder:
            features = embed_benchmark(
                benchmark, embedder, Path(folder), options=EmbedOptions(workers=0)
            )
        calibrations = calibrate_modes(features, benchmark)
        card = {
            "licence": options.licence,
            "start": options.start,
            "data": options.data,
            "calibration_data": options.calibration_data,
            "training": training_facts(options.model),
            "calibration": {
                "model": model_hash(embedder),
                **{n: c.to_card() for n, c in calibrations.items()},
            },
        }
        save_embedder(embedder, options.output, card=card, half=True)
    except AslError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"saved {options.output} ({options.output.stat().st_size / 1e6:.1f} MB)")
    return 0


def halve(embedder: Embedder) -> None:
    """Round the weights to what float16 holds, so that what is calibrated is what is shipped."""
    with torch.no_grad():
        for value in embedder.state_dict().values():
            if value.is_floating_point():
                value.copy_(value.half().float())


def training_facts(model: str) -> dict[str, Any]:
    """Return the card of a model: what it was trained on."""
    return without_paths(read_card(model_path(model)))


def without_paths(value: Any) -> Any:
    """A card tells what was trained on, not where it lay."""
    if isinstance(value, dict):
        return {name: without_paths(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [without_paths(inner) for inner in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def calibrate_modes(features: SearchInput, benchmark: Benchmark) -> dict[str, Calibration]:
    hinge = choose(
        features,
        benchmark.truth,
        [Score("hinge", lam=lam, tau=tau) for lam in LAMBDAS for tau in TAUS],
    )
    scores = every_mode(features, hinge)
    scores["soft"] = choose(
        features, benchmark.truth, [replace(scores["soft"], lam=lam) for lam in LAMBDAS]
    )
    result = {}
    for name, score in scores.items():
        pairs = score_modes(features, {name: score})[name]
        result[name] = calibrate_score(score, pairs, benchmark.truth)
        print(name, *(f"\n  {row}" for row in result[name].thresholds))
    return result


def choose(features: SearchInput, truth: TruthPairs, candidates: list[Score]) -> Score:
    """Select the smallest penalty within one standard error of the best µAP (1-SE rule).

    The rule is from Breiman et al. 1984.

    Among photographs that nobody calibrated on, a large penalty costs true copies more than it
    costs false ones.
    """
    found = [
        evaluate(score_modes(features, {"": score})[""], truth, bootstrap=0).uap
        for score in candidates
    ]
    best = candidates[int(np.argmax(found))]
    interval = evaluate(score_modes(features, {"": best})[""], truth, bootstrap=200).intervals[
        "uap"
    ]
    enough = max(found) - (interval.high - interval.low) / (2 * 1.96)
    place = min(
        (place for place, uap in enumerate(found) if uap >= enough),
        key=lambda place: (candidates[place].lam, candidates[place].tau),
    )
    print(
        f"{best.mode}: best {best.lam=} {best.tau=} µAP {max(found):.3f}; "
        f"lam={candidates[place].lam} "
        f"tau={candidates[place].tau} µAP {found[place]:.3f} is within a standard error"
    )
    return candidates[place]


def calibrate_score(score: Score, pairs: ScoredPairs, truth: TruthPairs) -> Calibration:
    number = {name: place for place, name in enumerate(pairs.queries.tolist())}
    hard = [
        number[name]
        for name, kind in truth.kinds.items()
        if kind.startswith("hard:") and name in number
    ]
    return calibrate(
        score,
        pairs.scores,
        label_pairs(pairs, truth),
        query=pairs.query_index,
        true_pairs=len(truth),
        hard_queries=hard,
    )


if __name__ == "__main__":
    sys.exit(main())
