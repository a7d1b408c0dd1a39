"""Compare the candidate pairs of a scan: those that can match, or all of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asl.app.library.image_store import ImageStore
from asl.app.library.local_feature_store import extract_missing
from asl.app.pairs.agreement_counts import agreement_counts, agreement_id
from asl.app.pairs.cached_verdicts import verify_with_cache
from asl.app.pairs.pair_verdict import SAME_PIXELS, PairVerdict
from asl.app.pairs.pair_verifier import verifier_id
from asl.app.scanning import scan_stages
from asl.app.scanning.pair_candidates import CandidatePairs, cache_friendly_order
from asl.app.scanning.pair_prospects import PairProspects

PAIRS_PER_TRANSACTION = 960
Bar = Callable[[str, str], AbstractContextManager[Callable[[int, int], None]]]
RowPair = tuple[int, int]
Verdicts = dict[RowPair, tuple[float, PairVerdict]]  # pair of rows -> cosine, verdict


@dataclass(eq=False)
class PairComparer:
    """Compare pairs of the contents of one scan, and keep the verdicts in its store.

    Attributes:
        store: of the contents.
        path: its file.
        digests: of the contents, by row.
        workers: processes.
        bar: progress display.
        prospects: rule for the pairs that are compared; None: all.
        verdicts: of the pairs that were compared.
        failures: reasons why pairs could not be compared.
        hopeless: number of pairs that a test of their features left out.
    """

    store: ImageStore
    path: Path
    digests: Sequence[str]
    workers: int
    bar: Bar
    prospects: PairProspects | None
    verdicts: Verdicts = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    hopeless: int = 0

    def compare_promising(self, candidates: CandidatePairs) -> None:
        """Compare the candidates that can match, by the rule; all without one."""
        cosines, fresh = self._take_known(candidates)
        if self.prospects is not None and fresh:
            kept = self._promising(fresh, cosines, self.prospects)
            self.hopeless += len(fresh) - len(kept)
            fresh = kept
        self._compare_fresh(fresh, cosines, scan_stages.COMPARE)

    def compare(self, candidates: CandidatePairs, label: str) -> None:
        """Compare all candidates.

        Args:
            candidates: pairs of rows.
            label: of the progress display.
        """
        cosines, fresh = self._take_known(candidates)
        self._compare_fresh(fresh, cosines, label)

    def _take_known(self, candidates: CandidatePairs) -> tuple[dict[RowPair, float], list[RowPair]]:
        """Take the verdicts of identical pixels and cached ones; return cosines, pairs left."""
        digests = self.digests
        triples = zip(
            candidates.first.tolist(),
            candidates.second.tolist(),
            candidates.cosines.tolist(),
            strict=True,
        )
        cosines = {
            (a, b) if digests[a] < digests[b] else (b, a): cosine for a, b, cosine in triples
        }
        cached = self.store.verdicts(verifier_id(), self._digest_pairs(list(cosines)))
        in_pairs = {digests[row] for pair in cosines for row in pair}
        facts = self.store.facts(sorted(in_pairs))
        fresh: list[RowPair] = []
        for pair, cosine in cosines.items():
            first, second = digests[pair[0]], digests[pair[1]]
            if facts[first].same_picture(facts[second]):
                self.verdicts[pair] = (cosine, SAME_PIXELS)
            elif (first, second) in cached:
                verdict = PairVerdict.from_json(cached[first, second])
                self.verdicts[pair] = (cosine, verdict)
            else:
                fresh.append(pair)
        return cosines, fresh

    def _promising(
        self, pairs: list[RowPair], cosines: dict[RowPair, float], rule: PairProspects
    ) -> list[RowPair]:
        """Select the pairs that can match."""
        values = np.array([cosines[pair] for pair in pairs], dtype=np.float32)
        agreeing = np.zeros(len(pairs))
        unsure = np.flatnonzero(~rule.is_sure(values))
        agreeing[unsure] = self.agreeing([pairs[place] for place in unsure.tolist()])
        kept = np.flatnonzero(rule.is_compared(values, agreeing))
        return [pairs[place] for place in kept.tolist()]

    def agreeing(self, pairs: list[RowPair]) -> npt.NDArray[np.float64]:
        """Count the agreeing features of pairs, from the store where they are there.

        Args:
            pairs: of rows, each in the order of its digests.

        Returns:
            float64 ``[P]``, NaN where an image has too few features to tell.
        """
        cached = self.store.verdicts(agreement_id(), self._digest_pairs(pairs))
        counts = {pair: json.loads(text) for pair, text in cached.items()}
        left = self._digest_pairs(_ordered(pairs))
        left = [pair for pair in left if pair not in counts]
        in_pairs = sorted({digest for pair in left for digest in pair})
        with self.bar(scan_stages.EXTRACT, "images") as progress:
            extract_missing(
                self.store, self.path, in_pairs, workers=self.workers, progress=progress
            )
        unsaved: list[tuple[str, str, str]] = []
        with self.bar(scan_stages.TEST, "pairs") as progress:
            tested = agreement_counts(left, store=self.path, workers=self.workers)
            for done, (pair, count) in enumerate(zip(left, tested, strict=True), start=1):
                counts[pair] = count
                unsaved.append((*pair, json.dumps(count)))
                if len(unsaved) >= PAIRS_PER_TRANSACTION or done == len(left):
                    self.store.put_verdicts(agreement_id(), unsaved)
                    unsaved = []
                progress(done, len(left))
        return np.array([counts[pair] for pair in self._digest_pairs(pairs)], dtype=np.float64)

    def _compare_fresh(
        self, pairs: list[RowPair], cosines: dict[RowPair, float], label: str
    ) -> None:
        """Compare pairs, and take their verdicts."""
        with self.bar(label, "pairs") as progress:
            if pairs:
                progress(0, len(pairs))
            for done, (pair, result) in enumerate(self._verified(pairs), start=1):
                progress(done, len(pairs))
                if isinstance(result, str):
                    self.failures.append(result)
                else:
                    self.verdicts[pair] = (cosines[pair], result)
            progress(len(pairs), len(pairs))

    def _verified(self, pairs: list[RowPair]) -> Iterator[tuple[RowPair, PairVerdict | str]]:
        """Verify pairs and store the verdicts as they come, so that a stopped scan resumes."""
        ordered = _ordered(pairs)
        digest_pairs = self._digest_pairs(ordered)
        results = verify_with_cache(digest_pairs, store=self.path, workers=self.workers)
        unsaved: list[tuple[str, str, str]] = []
        try:
            for pair, (digest_pair, result) in zip(ordered, results, strict=True):
                if isinstance(result, PairVerdict):
                    unsaved.append((*digest_pair, result.to_json()))
                if len(unsaved) >= PAIRS_PER_TRANSACTION:
                    self.store.put_verdicts(verifier_id(), unsaved)
                    unsaved = []
                yield pair, result
        finally:
            self.store.put_verdicts(verifier_id(), unsaved)

    def _digest_pairs(self, pairs: list[RowPair]) -> list[tuple[str, str]]:
        return [(self.digests[first], self.digests[second]) for first, second in pairs]


def _ordered(pairs: list[RowPair]) -> list[RowPair]:
    """Order pairs so that neighbours share images."""
    rows = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return [pairs[place] for place in cache_friendly_order(rows[:, 0], rows[:, 1]).tolist()]
