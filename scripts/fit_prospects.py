r"""Fit the rule by which a scan skips hopeless pairs, and count what is lost on other pictures.

  asl scan FIT --compare all --effort 20 --output fit
  asl scan HELD --compare all --effort 20 --output held
  python scripts/fit_prospects.py --fit fit --held held \
      --output asl/app/scanning/pair_prospects.json
  python scripts/fit_prospects.py --held held          (the packaged rule is measured)
  python scripts/fit_prospects.py --fit fit --same-tests     (those of the packaged rule)
  python scripts/fit_prospects.py --same-cosines asl_lite1 \
      --output asl/app/scanning/pair_prospects.json    (only its norm head is another one)

All scans are of one packaged model, whose rule in the file is replaced. The label of a pair is the
verdict of its comparison: accepted at a precision of .95. Of all rules of the grid that lose at
most --loss of the accepted pairs of FIT, the one whose tests and comparisons take least time is
written. *Lost in the end* are pairs that the comparison of relatives does not bring back: those
whose two images match no third one.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asl.app.library.ingest import Ingestor
from asl.app.library.local_feature_store import retrieve_by_votes
from asl.app.pairs.pair_verdict import PairVerdict
from asl.app.pairs.pair_verifier import verifier_id
from asl.app.scanning.pair_candidates import Contents, nearest_pairs
from asl.app.scanning.pair_comparer import PairComparer
from asl.app.scanning.pair_prospects import FORMAT, PairProspects, prospects_of, read_rules
from asl.app.scanning.scan_folder import LEAST_SHOWN
from asl.console.progress import no_bar
from asl.matching.align.agreeing_features import LEAST_AGREEING
from asl.matching.decision.thresholds import threshold_for
from asl.model_names import packaged_hashes, packaged_name
from asl.shared_defaults import LOCAL_CANDIDATES, NEIGHBOURS
from asl.storage import read_json, write_json
from asl.types import F32, I64, Bools

PRECISION = 0.95
TEST_SECONDS, COMPARISON_SECONDS = 0.0036, 0.09  # of a pair, one core
COSINES = np.round(np.arange(0.3, 0.91, 0.01), 2)  # from which pairs are compared untested
TESTED_COSINES = np.round(np.arange(0.0, 0.61, 0.02), 2)
TESTED_VOTES = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
# From which pairs of too few features are compared; the lowest is that of those that are tested.
UNTOLD_COSINES = np.round(np.arange(0.0, 0.61, 0.04), 2)
Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Compared:
    """Candidate pairs of a scan and their verdicts.

    Attributes:
        model: hash of the embedder.
        first: int64 ``[P]`` rows.
        second: int64 ``[P]``.
        cosines: float32 ``[P]``.
        votes: float32 ``[P]``.
        agreeing: ``[P]``, NaN where there are too few features.
        probability: ``[P]`` of the verdicts.
    """

    model: str
    first: I64
    second: I64
    cosines: F32
    votes: F32
    agreeing: Floats
    probability: Floats

    @property
    def accepted(self) -> Bools:
        """Pairs that a scan reports."""
        return np.asarray(self.probability >= threshold_for(PRECISION))

    def lost_in_the_end(self, compared: Bools) -> int:
        """Count accepted pairs that were not compared and whose images match no third one."""
        near: dict[int, set[int]] = defaultdict(set)
        matching = compared & (self.probability >= LEAST_SHOWN)
        for a, b in zip(self.first[matching].tolist(), self.second[matching].tolist(), strict=True):
            near[a].add(b)
            near[b].add(a)
        lost = self.accepted & ~compared
        pairs = zip(self.first[lost].tolist(), self.second[lost].tolist(), strict=True)
        return sum(not near[a] & near[b] for a, b in pairs)


def read_scan(output: Path, workers: int) -> Compared:
    """Read the candidates of a scan whose pairs were all compared."""
    ingestor = Ingestor(read_json(output / "summary.json", remedy="scan again")["model"])
    (path,) = output.glob(f"cache-{ingestor.hash[:8]}.sqlite")
    store = ingestor.open_store(path)
    try:
        digests = sorted({name.digest for name in store.names()})
        unusable = store.failures(digests)
        digests = [digest for digest in digests if digest not in unusable]
        rows = np.arange(len(digests), dtype=np.int64)
        voted = retrieve_by_votes(
            store,
            path,
            digests,
            rows,
            rows,
            k=LOCAL_CANDIDATES,
            workers=workers,
            progress=lambda *_: None,
        )
        contents = Contents.from_features(digests, store.features(digests))
        found = nearest_pairs(contents, rows, rows, k=NEIGHBOURS, budget=sys.maxsize, voted=voted)
        pairs = [  # digests are sorted
            (min(a, b), max(a, b))
            for a, b in zip(found.first.tolist(), found.second.tolist(), strict=True)
        ]
        named = [(digests[a], digests[b]) for a, b in pairs]
        verdicts = store.verdicts(verifier_id(), named)
        known = np.array([pair in verdicts for pair in named])
        comparer = PairComparer(store, path, digests, workers, no_bar, None)
        agreeing = comparer.agreeing([pairs[place] for place in np.flatnonzero(known)])
    finally:
        store.close()
    print(f"{output}: {len(digests)} contents, {len(pairs)} pairs, {known.sum()} compared")
    return Compared(
        ingestor.hash,
        found.first[known],
        found.second[known],
        found.cosines[known],
        found.votes[known],
        agreeing,
        np.array([_probability(verdicts[pair]) for pair in named if pair in verdicts]),
    )


def _probability(verdict: str) -> float:
    return PairVerdict.from_json(verdict).probability


def decided(rule: PairProspects, scan: Compared) -> tuple[Bools, Bools]:
    """Return the pairs that a rule tests, and those that it compares."""
    considered = rule.is_tested(scan.cosines, scan.votes)
    compared = considered & rule.is_compared(scan.cosines, scan.agreeing)
    return considered & ~rule.is_sure(scan.cosines), compared


def fitted_rule(scan: Compared, loss: float, tests: PairProspects | None = None) -> PairProspects:
    """Return the cheapest rule of the grid whose loss is small enough.

    Args:
        scan: whose pairs were all compared.
        loss: share of the accepted pairs that may be lost.
        tests: rule whose tests are kept; None: they are fitted, too.
    """
    most = loss * scan.accepted.sum()
    tested_cosines = TESTED_COSINES if tests is None else np.array([tests.tested_cosine])
    tested_votes = TESTED_VOTES if tests is None else (tests.tested_votes,)
    best, least = None, np.inf
    for cosine, untold_cosine, tested_cosine, votes in product(
        COSINES, UNTOLD_COSINES, tested_cosines, tested_votes
    ):
        if untold_cosine > cosine:
            continue
        rule = PairProspects(
            scan.model,
            float(cosine),
            LEAST_AGREEING,
            float(untold_cosine),
            float(tested_cosine),
            votes,
        )
        tested, compared = decided(rule, scan)
        cost = TEST_SECONDS * tested.sum() + COMPARISON_SECONDS * compared.sum()
        if cost < least and (scan.accepted & ~compared).sum() <= most:
            best, least = rule, cost
    if best is None:
        raise SystemExit(f"no rule loses at most {loss:g} of the accepted pairs")
    return best


def measured(rule: PairProspects, scan: Compared) -> dict[str, int]:
    """Count what a rule tests, compares and loses."""
    tested, compared = decided(rule, scan)
    return {
        "pairs": len(scan.cosines),
        "tested": int(tested.sum()),
        "compared": int(compared.sum()),
        "accepted": int(scan.accepted.sum()),
        "lost": int((scan.accepted & ~compared).sum()),
        "lost in the end": scan.lost_in_the_end(compared),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit, measure, write."""
    options = read_options(arguments)
    if options.same_cosines:
        keep_rule(options.output, options.same_cosines)
        return 0
    scans = [read_scan(output, options.workers) for output in options.held]
    counts = {}
    if options.fit:
        scan = read_scan(options.fit, options.workers)
        tests = packaged_rule([scan]) if options.same_tests else None
        rule = fitted_rule(scan, options.loss, tests)
        counts["fit"] = measured(rule, scan)
    else:
        rule = packaged_rule(scans)
    counts |= {f"held {number}": measured(rule, scan) for number, scan in enumerate(scans, 1)}
    print(rule)
    for name, values in counts.items():
        print(name, values)
    if options.output:
        card = {
            "data": options.data,
            "command": "python scripts/fit_prospects.py",
            "loss": options.loss,
            **counts,
        }
        write_rule(options.output, rule, card)
    return 0


def packaged_rule(scans: Sequence[Compared]) -> PairProspects:
    """Return the packaged rule of the model of scans."""
    rule = prospects_of(scans[0].model) if scans else None
    if rule is None:
        raise SystemExit("give --fit, or --held of a scan with a model that has a packaged rule")
    return rule


def write_rule(path: Path, rule: PairProspects, card: dict[str, object]) -> None:
    """Put a rule into a file in place of the rule of its model."""
    if not (name := packaged_name(rule.model)):
        raise SystemExit("only packaged models have a rule")
    rules = read_rules(path) if path.exists() else {}
    rules[name] = {**rule.to_plain(), "card": card}
    write_json(path, {"format": FORMAT, "rules": rules})


def keep_rule(path: Path, name: str) -> None:
    """Give the rule of a packaged model the hash that the model has now."""
    rules = read_rules(path)
    if name not in rules:
        raise SystemExit(f"{path} has no rule for {name!r}; it has {', '.join(rules)}")
    rules[name]["model"] = packaged_hashes()[name]
    write_json(path, {"format": FORMAT, "rules": rules})


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--fit", type=Path, help="output folder of a scan with --compare all")
    parser.add_argument("--held", type=Path, nargs="*", default=[], help="the same, others")
    parser.add_argument("--loss", type=float, default=0.003, help="share of the accepted pairs")
    parser.add_argument(
        "--same-tests", action="store_true", help="fit only what follows from the tests"
    )
    parser.add_argument("--data", default="", help="words for the photographs, for the card")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--same-cosines", metavar="NAME", help="packaged model that keeps its rule")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args(arguments)
    if options.same_cosines and not options.output:
        parser.error("--same-cosines: name the file of the rules with --output")
    return options


if __name__ == "__main__":
    raise SystemExit(main())
