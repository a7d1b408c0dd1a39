"""Prepare a trained model for release: score constants, calibration, card.

  python scripts/ship_model.py runs/mine CALIBRATION OUT.safetensors --data "Caltech-101 (CC BY
  4.0)"

CALIBRATION is a benchmark folder (scripts/make_benchmark.py) of photographs that are neither
trained on nor reported on. lam and tau of `hinge` and lam of `soft` are the smallest within one
standard error of the best µAP there; every score gets its probability curve and its thresholds.
Norms of drawn pages say less than norms of photographs: with --pages, benchmarks of such material,
they are the best of those that, on average, rank these benchmarks no lower than the cosine does.
Weights are stored in half precision.

A model that was shipped before is calibrated anew: what its card says of data and licence stays.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

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
TAUS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
SHIPPED = ("licence", "start", "data", "calibration_data", "training", "calibration")  # of a card


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("calibration", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument(
        "--pages",
        type=Path,
        nargs="+",
        default=[],
        help="further benchmarks, of drawn pages (--level drawn)",
    )
    parser.add_argument("--data", help="training images and their licence, for the card")
    parser.add_argument(
        "--calibration-data", help="calibration images and their licence, for the card"
    )
    parser.add_argument(
        "--start", help="weights that the training started from and their licence, for the card"
    )
    parser.add_argument("--licence", help="of the weights (MIT)")
    options = parser.parse_args()
    try:
        known = read_card(model_path(options.model))
        facts = facts_of(options, known)
        embedder = load_embedder(options.model)
        halve(embedder)
        folders = [options.calibration, *options.pages]
        benchmarks = [open_benchmark(folder) for folder in folders]  # a wrong one ends it here
        sets = [embedded(benchmark, embedder) for benchmark in benchmarks]
        calibrations = calibrate_modes(sets)
        card = {
            **facts,
            "training": without_paths(training_facts(known)),
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


def facts_of(options: argparse.Namespace, known: dict[str, Any]) -> dict[str, str]:
    """Return what the card says of data and licence: the options', else those of a shipped model.

    Raises:
        AslError: neither names the training data.
    """
    given = {
        "licence": options.licence,
        "start": options.start,
        "data": options.data,
        "calibration_data": options.calibration_data,
    }
    usual = {"licence": "MIT", "start": "", "data": "", "calibration_data": ""}
    shipped = known if "calibration" in known else {}
    facts = {
        name: str(shipped.get(name, usual[name])) if value is None else value
        for name, value in given.items()
    }
    if not facts["data"]:
        raise AslError(f"{options.model}: name its training images and their licence (--data)")
    return facts


def training_facts(card: dict[str, Any]) -> dict[str, Any]:
    """Return what a card says of the training, without what was shipped around it."""
    if "calibration" not in card:
        return card
    own = {name: value for name, value in card.items() if name not in SHIPPED}
    return {**training_facts(card["training"]), **own}


def without_paths(value: Any) -> Any:
    """A card tells what was trained on, not where it lay."""
    if isinstance(value, dict):
        return {name: without_paths(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [without_paths(inner) for inner in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


@dataclass(frozen=True, eq=False)
class Embedded:
    """A benchmark and the embeddings of its images."""

    features: SearchInput
    truth: TruthPairs

    def uap(self, score: Score) -> float:
        """µAP of a score."""
        pairs = score_modes(self.features, {"": score})[""]
        return evaluate(pairs, self.truth, bootstrap=0).uap


def embedded(benchmark: Benchmark, embedder: Embedder) -> Embedded:
    """Embed a benchmark; its features stay in memory only."""
    with tempfile.TemporaryDirectory() as folder:
        options = EmbedOptions(workers=0)
        features = embed_benchmark(benchmark, embedder, Path(folder), options=options)
    return Embedded(features, benchmark.truth)


def calibrate_modes(sets: list[Embedded]) -> dict[str, Calibration]:
    """Choose the constants of every score on ``sets``; fit its probability on the first."""
    features, truth = sets[0].features, sets[0].truth
    hinge = choose(sets, [Score("hinge", lam=lam, tau=tau) for lam in LAMBDAS for tau in TAUS])
    # The filters stay as they were published: no difference is free.
    scores = every_mode(features, replace(hinge, tau=0.0)) | {"hinge": hinge}
    scores["soft"] = choose(sets, [replace(scores["soft"], lam=lam) for lam in LAMBDAS])
    result = {}
    for name, score in scores.items():
        pairs = score_modes(features, {name: score})[name]
        result[name] = calibrate_score(score, pairs, truth)
        print(name, *(f"\n  {row}" for row in result[name].thresholds))
    return result


def choose(sets: list[Embedded], candidates: list[Score]) -> Score:
    """Select a penalty by its µAP.

    With one set: the smallest penalty within one standard error of the best (1-SE rule, Breiman et
    al. 1984), for a large penalty costs true copies of other photographs more than it costs false
    ones. With others: the best of the first set among those whose mean over the others is not below
    that of the cosine.
    """
    first, others = sets[0], sets[1:]
    floor = sum(other.uap(Score("cosine")) for other in others)
    allowed = [
        (score, first.uap(score))
        for score in candidates
        if sum(other.uap(score) for other in others) >= floor
    ]
    if not allowed:
        raise AslError("--pages: every penalty ranks these benchmarks lower than the cosine does")
    best, highest = max(allowed, key=lambda entry: (entry[1], -entry[0].lam, -entry[0].tau))
    chosen, reached = best, highest
    if not others:
        pairs = score_modes(first.features, {"": best})[""]
        interval = evaluate(pairs, first.truth, bootstrap=200).intervals["uap"]
        enough = highest - (interval.high - interval.low) / (2 * 1.96)
        chosen, reached = min(
            (entry for entry in allowed if entry[1] >= enough),
            key=lambda entry: (entry[0].lam, entry[0].tau),
        )
    print(
        f"{best.mode}: best {best.lam=} {best.tau=} µAP {highest:.3f}; "
        f"chosen lam={chosen.lam} tau={chosen.tau} µAP {reached:.3f}",
        *(f"(other set: {o.uap(chosen):.3f}, cosine {o.uap(Score('cosine')):.3f})" for o in others),
    )
    return chosen


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
