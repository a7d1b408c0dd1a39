"""A review as plain values for its page."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from asl.app.library.shots import ShotFiles
from asl.app.pairs.pair_marks import LEAST_ANSWERS, content_pair
from asl.app.pairs.pair_verdict import Outline
from asl.app.pairs.pair_verifier import verifier_id
from asl.app.reviewing.removal_log import last_removal
from asl.app.reviewing.review_groups import ReviewFile, ReviewGroup, shown_pairs
from asl.app.reviewing.review_session import ReviewSession
from asl.app.scanning.result import MatchedPair
from asl.storage import printable_name

Plain = dict[str, Any]
_LEAST_CORNERS = 4


def review_payload(session: ReviewSession) -> Plain:
    """Return files, pairs and groups with the decisions and marks so far."""
    result, shots = session.result, ShotFiles()
    return {
        "across": result.across,
        "threshold": result.threshold,
        "precision": result.precision,
        "files": [_file(session, file, shots) for file in session.files.listed],
        "pairs": [
            _pair(session, pair) for pair in shown_pairs(result, session.files, session.groups)
        ],
        "groups": [_group(group) for group in session.groups],
        **state_payload(session),
    }


def state_payload(session: ReviewSession) -> Plain:
    """Return what a decision changes."""
    decided = {}
    for file in session.files.listed:
        decision = session.decisions.get(file.path)
        if decision is not None:
            decided[file.number] = [decision.keep, decision.by]
    return {
        "decisions": decided,
        "can_undo": session.can_undo,
        "can_put_back": last_removal(session.folder) is not None,
        "calibration": calibration_payload(session),
    }


def calibration_payload(session: ReviewSession) -> Plain:
    """Return what the answers so far say about the probabilities."""
    answers = session.marks.answers(verifier_id())
    plain: Plain = {"answers": len(answers), "least": LEAST_ANSWERS}
    accepted = [pair.packaged_probability for pair in session.result.accepted]
    if len(answers) >= LEAST_ANSWERS and accepted:
        calibration = session.calibration()
        plain["precision"] = asdict(calibration.precision(accepted))
        plain["threshold"] = asdict(
            calibration.interval(session.result.calibration.packaged(session.result.threshold))
        )
    return plain


def _file(session: ReviewSession, file: ReviewFile, shots: ShotFiles) -> Plain:
    image = session.result.images[file.image]
    facts = image.facts
    inside = os.path.relpath(file.path, printable_name(str(session.root)))
    name = file.path if inside.startswith(os.pardir) else Path(inside).as_posix()
    beside = ", ".join(shots.beside(file.path))
    shot = f"one shot with {beside}, which stays" if beside else ""
    notes = (facts.format, facts.camera, facts.taken, shot)
    return {
        "name": name,
        "image": file.image,
        "size": [facts.width, facts.height, facts.bytes],
        "notes": " · ".join(text for text in notes if text),
        "library": file.in_library,
        "gone": not os.path.isfile(file.place),
    }


def _group(group: ReviewGroup) -> Plain:
    return {
        "number": group.number,
        "kind": group.kind,
        "members": [
            [member.file, member.parent, member.pair, member.clear, member.probability]
            for member in group.members
        ],
    }


def _pair(session: ReviewSession, pair: MatchedPair) -> Plain:
    images = session.result.images
    original, copy = images[pair.original], images[pair.copy]
    mark = session.marks.get(content_pair(original.digest, copy.digest))
    return {
        "original": session.files.of_image(pair.original)[0],
        "copy": session.files.of_image(pair.copy)[0],
        "p": pair.probability,
        "clear": pair.origin.clear,
        "why": pair.why,
        "edits": list(pair.verdict.edits),
        "kinds": list(pair.kinds),
        "reason": pair.reason,
        "mark": mark.mark if mark else None,
        "onto": copy_onto_original(pair.verdict.first_outline, pair.verdict.second_outline),
    }


def copy_onto_original(original: Outline, copy: Outline) -> list[float]:
    """Map the copy onto its original, both as shares 0..1 of their sides.

    Args:
        original: corners of the shared area in the original; empty without an alignment.
        copy: the same corners in the copy.

    Returns:
        The homography by rows, 9 numbers; the identity without an alignment.

    >>> square = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
    >>> half = ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))
    >>> [round(value, 2) for value in copy_onto_original(half, square)]
    [0.5, 0.0, 0.25, 0.0, 0.5, 0.25, 0.0, 0.0, 1.0]
    """
    identity = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    if len(original) != len(copy) or len(original) < _LEAST_CORNERS:
        return identity
    matrix, _ = cv2.findHomography(np.array(copy, np.float64), np.array(original, np.float64))
    if matrix is None or not np.all(np.isfinite(matrix)):
        return identity
    return [round(float(value), 6) for value in matrix.ravel()]
