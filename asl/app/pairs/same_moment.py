"""Recognise two frames of the same moment: burst shots and video frames, which are no copies."""

from __future__ import annotations

from datetime import datetime, timedelta

from asl.app.library.facts import Facts
from asl.app.pairs.pair_verdict import PairVerdict
from asl.model_names import packaged_name

# Each is reached by 99 % of 193 pairs of neighbouring frames of videos (docs/leaks.md).
LEAST_COSINES = {"asl_lite0": 0.8, "asl_lite1": 0.53}
OTHER_COSINE = 0.8  # of other models
LEAST_SHARE = 0.5  # of each image that the other one covers
MOST_APART = timedelta(seconds=60)  # between two shots of one moment


def may_be_same_moment(cosine: float, verdict: PairVerdict, model: str) -> bool:
    """Check that two images show the same scene from nearly the same place.

    Args:
        cosine: of the embeddings.
        verdict: of the pair, in either order.
        model: hash of the model of the embeddings.
    """
    return (
        cosine >= LEAST_COSINES.get(packaged_name(model), OTHER_COSINE)
        and verdict.seen
        and bool(verdict.first_outline)
        and min(verdict.share_first, verdict.share_second) >= LEAST_SHARE
    )


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
