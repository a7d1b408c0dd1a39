"""Questions are chosen by probability alone, so that answers calibrate without a bias."""

from __future__ import annotations

import random

import numpy as np
from scipy.special import expit

from asl.app.pairs.pair_marks import PairMark, PairMarks
from asl.app.reviewing.question_queue import Question, next_question, question_queue


def questions(count: int, seed: int = 0) -> list[Question]:
    rng = random.Random(seed)
    return [
        Question(("a", f"b{number}"), rng.uniform(0.5, 0.9999), number) for number in range(count)
    ]


def test_the_order_depends_on_nothing_but_the_pairs() -> None:
    asked = questions(200)
    shuffled = asked[:]
    random.Random(1).shuffle(shuffled)
    assert question_queue(asked) == question_queue(shuffled)
    assert sorted(question.pair for question in question_queue(asked)) == sorted(
        question.pair for question in asked
    )


def test_the_first_ones_are_of_every_probability() -> None:
    first = [question.probability for question in question_queue(questions(500))[:14]]
    assert min(first) < 0.6
    assert max(first) > 0.98
    certain = Question(("a", "c"), 1.0, 0)
    assert question_queue([certain]) == [], "identical pixels are not asked about"


def test_a_marked_pair_is_answered_when_its_turn_comes() -> None:
    queue = question_queue(questions(30))
    marks = PairMarks(
        [
            PairMark(*queue[0].pair, "not a copy", queue[0].probability, "v"),
            PairMark(*queue[1].pair, "keep both", queue[1].probability, "v"),
            PairMark(*queue[9].pair, "not a copy", queue[9].probability, "v"),
        ]
    )
    assert next_question(queue, marks, "v") == queue[2]
    assert [mark.asked for mark in marks if mark.pair == queue[0].pair] == [True]
    assert [mark.asked for mark in marks if mark.pair == queue[9].pair] == [False], "not yet"
    assert len(marks.answers("v")) == 1


def test_a_pair_that_an_earlier_review_left_out_keeps_its_turn() -> None:
    queue = question_queue([*questions(10), Question(("x", "y"), 0.7, None)])
    marks = PairMarks([PairMark("x", "y", "not a copy", 0.7, "v")])
    while question := next_question(queue, marks, "v"):
        marks.put(PairMark(*question.pair, "copy", question.probability, "v", True))
    assert len(marks.answers("v")) == 11


def test_who_marks_only_mistakes_does_not_spoil_the_calibration() -> None:
    """Of 400 pairs 60 mistakes were marked in passing; 40 questions are answered."""
    rng = np.random.default_rng(3)
    odds = rng.normal(1.5, 1.2, 400)
    truth = rng.random(400) < expit(odds)
    asked = [Question(("a", f"b{n}"), float(expit(odds[n])), n) for n in range(400)]
    marks = PairMarks(
        PairMark(*asked[n].pair, "not a copy", asked[n].probability, "v")
        for n in np.flatnonzero(~truth)[:60]
    )
    queue = question_queue(asked)
    while len(marks.answers("v")) < 40:
        question = next_question(queue, marks, "v")
        assert question is not None
        assert question.row is not None
        text = "copy" if truth[question.row] else "not a copy"
        marks.put(PairMark(*question.pair, text, question.probability, "v", True))
    fair = marks.calibration("v")
    spoiled = PairMarks(
        PairMark(*mark.pair, mark.mark, mark.probability, "v", True) for mark in marks
    ).calibration("v")
    assert abs(float(fair.probability(0.8)) - 0.8) < 0.12
    assert float(spoiled.probability(0.8)) < 0.6, "all marks together say something else"
