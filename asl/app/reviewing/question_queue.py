"""Pairs to ask people about, chosen by their probability alone, so that the answers calibrate."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain, zip_longest

from asl.app.pairs.pair_marks import ANSWERS, ContentPair, PairMarks

# Strata of the packaged probability: each is asked about in turn.
_STRATA = (0.2, 0.4, 0.6, 0.75, 0.85, 0.92, 0.96, 0.985, 0.995)


@dataclass(frozen=True)
class Question:
    """A pair to ask about.

    Attributes:
        pair: digests, in rising order.
        probability: of the packaged calibration, 0..1.
        row: of the pair in the scan; None where an earlier review left the pair out.
    """

    pair: ContentPair
    probability: float
    row: int | None


def question_queue(questions: Iterable[Question]) -> list[Question]:
    """Order pairs: one of each stratum in turn, at random inside a stratum, but always alike."""
    strata: dict[int, list[tuple[str, Question]]] = defaultdict(list)
    for question in questions:
        if question.probability < 1.0:  # identical pixels teach nothing
            key = hashlib.sha256("|".join(question.pair).encode()).hexdigest()
            strata[bisect_right(_STRATA, question.probability)].append((key, question))
    for stratum in strata.values():
        stratum.sort(key=lambda entry: entry[0])
    turns = zip_longest(*(strata[number] for number in sorted(strata)))
    return [entry[1] for entry in chain.from_iterable(turns) if entry is not None]


def next_question(queue: Iterable[Question], marks: PairMarks, verifier: str) -> Question | None:
    """Return the first pair that nothing was said about; None at the end.

    A pair of the queue that was marked without being asked about counts as answered from now on:
    it would have been asked about.

    Args:
        queue: from :func:`question_queue`.
        marks: is changed.
        verifier: whose probabilities are calibrated.
    """
    for question in queue:
        mark = marks.get(question.pair)
        if mark is None:
            if question.row is not None:
                return question
        elif not mark.asked and mark.mark in ANSWERS and mark.verifier == verifier:
            marks.put(replace(mark, asked=True))
    return None
