"""Recognise two frames of the same moment: burst shots and video frames, which are no copies."""

from __future__ import annotations

from datetime import datetime, timedelta

from asl.app.library.facts import Facts
from asl.app.pairs.pair_verdict import PairVerdict

LEAST_PROBABILITY = 0.5  # from which two images count as shots of one moment
MOST_APART = timedelta(seconds=60)  # between two shots of one moment


def may_be_same_moment(verdict: PairVerdict) -> bool:
    """Check that two images probably show one scene from nearly the same place, no copies.

    Args:
        verdict: of the pair, in either order.
    """
    return verdict.same_moment >= LEAST_PROBABILITY


def taken_apart(first: Facts, second: Facts) -> bool:
    """Check that the EXIF dates of two files are too far from each other for one moment."""
    times = [_time(facts.taken) for facts in (first, second)]
    if times[0] is None or times[1] is None:
        return False
    return abs(times[0] - times[1]) > MOST_APART


def were_shot_apart(first: Facts, second: Facts) -> bool:
    """Check that the EXIF data name one camera and two dates that are less than a minute apart.

    Copies keep the date of their original or lose it: such files are shots of one moment.
    """
    times = [_time(facts.taken) for facts in (first, second)]
    if times[0] is None or times[1] is None or first.camera != second.camera:
        return False
    return timedelta() < abs(times[0] - times[1]) <= MOST_APART


def may_be_shots(first: Facts, second: Facts) -> bool:
    """Check that two files have one size and no dates that are far apart: frames of one camera."""
    sizes = (first.width, first.height), (second.width, second.height)
    return sizes[0] == sizes[1] and not taken_apart(first, second)


def _time(taken: str) -> datetime | None:
    try:
        return datetime.strptime(taken, "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return None
