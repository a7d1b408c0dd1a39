"""Make a trained model ready to be shipped: choose its directional constants, calibrate its scores, write its card.

  python scripts/ship_model.py runs/mine CALIBRATION OUT.safetensors --data "Caltech-101 (CC BY 4.0)"

CALIBRATION is a benchmark folder (scripts/make_benchmark.py) of photographs that are neither trained on nor reported
on. lam and tau of `hinge` are the pair with the best recall at 90 % precision there (then the best µAP); every score
gets its probability curve and its thresholds. The weights are stored in half precision.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from asl.data.layouts import Benchmark, open_benchmark
from asl.metrics.evaluate import Evaluation, evaluate
from asl.metrics.ranking import label_pairs
from asl.models import Embedder, load_embedder, model_hash, save_embedder
from asl.models.files import read_card, shipped_model
from asl.pipeline import Features, every_mode, extract_benchmark, score_modes
from asl.scoring.calibration import Calibration, calibrate
from asl.scoring.score import Score
from asl.types import AslError, ScoredPairs, TruthPairs

LAMBDAS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3)
TAUS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("calibration", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--data", required=True, help="training images and their licence, for the card")
    parser.add_argument("--calibration-data", default="", help="calibration images and their licence, for the card")
    parser.add_argument("--licence", default="MIT")
    options = parser.parse_args()
    try:
        embedder, benchmark = load_embedder(options.model), open_benchmark(options.calibration)
        halve(embedder)
        with tempfile.TemporaryDirectory() as folder:
            features = extract_benchmark(benchmark, embedder, Path(folder), workers=1)
        calibrations = calibrate_modes(features, benchmark)
        card = {
            "licence": options.licence,
            "data": options.data,
            "calibration_data": options.calibration_data,
            "training": training_facts(options.model),
            "calibration": {"model": model_hash(embedder), **{n: c.to_card() for n, c in calibrations.items()}},
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
    path = Path(model)
    file = path / "model.safetensors" if path.is_dir() else path
    facts = read_card(file if file.is_file() else shipped_model())
    return without_paths(facts)


def without_paths(value: Any) -> Any:
    """A card tells what was trained on, not where it lay."""
    if isinstance(value, dict):
        return {name: without_paths(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [without_paths(inner) for inner in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def calibrate_modes(features: Features, benchmark: Benchmark) -> dict[str, Calibration]:
    best = choose_hinge(features, benchmark.truth)
    result = {}
    for name, score in every_mode(features, best).items():
        pairs = score_modes(features, {name: score})[name]
        result[name] = calibrate_score(score, pairs, benchmark.truth)
        print(name, *(f"\n  {row}" for row in result[name].thresholds))
    return result


def choose_hinge(features: Features, truth: TruthPairs) -> Score:
    """The lam and tau with the best recall at 90 % precision, then the best µAP."""
    found: dict[tuple[float, float], Evaluation] = {}
    for lam, tau in itertools.product(LAMBDAS, TAUS):
        if lam or not tau:
            score = Score("hinge", lam=lam, tau=tau)
            found[lam, tau] = evaluate(score_modes(features, {"hinge": score})["hinge"], truth, bootstrap=0)
    (lam, tau), evaluation = max(found.items(), key=lambda item: (item[1].recall_at_p90, item[1].uap))
    cosine = found[0.0, 0.0]
    print(f"hinge lam={lam} tau={tau}: {evaluation.uap:.3f} / {evaluation.recall_at_p90:.3f}, "
          f"cosine {cosine.uap:.3f} / {cosine.recall_at_p90:.3f} (µAP / R@P90 on the calibration queries)")  # fmt: skip
    return Score("hinge", lam=lam, tau=tau)


def calibrate_score(score: Score, pairs: ScoredPairs, truth: TruthPairs) -> Calibration:
    number = {name: place for place, name in enumerate(pairs.queries.tolist())}
    hard = [number[name] for name, kind in truth.kinds.items() if kind.startswith("hard:") and name in number]
    return calibrate(
        score, pairs.scores, label_pairs(pairs, truth),
        query=pairs.query_index, true_pairs=len(truth), hard_queries=hard,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
