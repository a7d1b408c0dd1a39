"""Write the explanation of a pair: a self-contained HTML page that prints well, and JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asl.app.explaining.explain_pair import ExaminedFile, Explanation
from asl.app.pairs.origin import CLEAR_VOTE
from asl.app.pairs.pair_verifier import verifier_id
from asl.report.page import picture_address, render
from asl.report.provenance import provenance
from asl.storage import atomic_text, recorded, write_json
from asl.types import U8

PAGE_FOLDER = "app/explaining/page"
PICTURE_SIDE = 640  # pixels of the longer side in the page
PICTURE_QUALITY = 85  # of the JPEG


def write_case(explanation: Explanation, output: Path, *, command: str) -> list[Path]:
    """Write ``output``, and for a page the same as JSON beside it; returns the files.

    Args:
        explanation: of a pair.
        output: file that ends in ``.html`` or ``.json``.
        command: that ran it.
    """
    facts = case_document(explanation, command=command)
    if output.suffix == ".html":
        agreeing = round(math.expm1(explanation.evidence.get("inliers", 0.0)))
        text = render(
            "case.html",
            folder=PAGE_FOLDER,
            case=facts,
            agreeing=agreeing,
            pictures=_pictures(explanation),
        )
        with recorded(output), atomic_text(output) as file:
            file.write(text)
    data = output.with_suffix(".json")
    write_json(data, facts)
    return list(dict.fromkeys([output, data]))


def case_document(explanation: Explanation, *, command: str) -> dict[str, Any]:
    """Return everything but the pictures, ready for JSON.

    Args:
        explanation: of a pair.
        command: that ran it.
    """
    match, verdict = explanation.match, explanation.verdict
    first, second = explanation.first.name, explanation.second.name
    matches = explanation.conclusion in ("copy", "possible copy")
    made = provenance({}, command=command)
    return {
        "conclusion": explanation.conclusion,
        "sentence": explanation.sentence,
        "probability": match.probability,
        "same_moment": verdict.same_moment,
        "accepted": match.accepted,
        "precision": explanation.precision,
        "threshold": explanation.threshold,
        "precisions": [
            {"precision": precision, "threshold": threshold, "accepted": accepted}
            for precision, threshold, accepted in explanation.precisions
        ],
        "original": explanation.original.name if explanation.original else None,
        "direction_clear": matches and match.direction != "unclear",
        "least_clear_vote": CLEAR_VOTE,
        "cues": [
            {"cue": cue, "original": second if vote > 0 else first, "vote": round(abs(vote), 3)}
            for vote, cue in explanation.cues
            if matches
        ],
        "edits": list(match.edits) if matches or verdict.identical else [],
        "reason": explanation.reason,
        "shared": {
            "first": round(verdict.share_first, 4),
            "second": round(verdict.share_second, 4),
            "first_outline": verdict.first_outline,
            "second_outline": verdict.second_outline,
        },
        "embedding": {"cosine": round(match.cosine, 6), "score": round(match.score, 6)},
        "evidence": explanation.evidence,
        "files": [_file(explanation.first), _file(explanation.second)],
        "made": {
            "command": command,
            "created": made["created"],
            "versions": made["versions"],
            "model": explanation.model,
            "model_hash": explanation.model_hash,
            "verifier": verifier_id(),
            "machine": made["machine"],
        },
    }


def _file(examined: ExaminedFile) -> dict[str, Any]:
    facts = examined.facts
    return {
        "name": examined.name,
        "sha256": examined.sha256,
        "bytes": facts.bytes,
        "format": facts.format,
        "width": facts.width,
        "height": facts.height,
        "modified": examined.modified.isoformat(timespec="seconds"),
        "taken": facts.taken,
        "camera": facts.camera,
        "software": facts.software,
        "log_norm": round(examined.log_norm, 6),
    }


def _pictures(explanation: Explanation) -> Mapping[str, Any]:
    aligned = explanation.aligned
    return {
        "files": [_address(explanation.first.picture), _address(explanation.second.picture)],
        "aligned": aligned
        and {
            "on_copy": _address(aligned.copy),
            "on_original": _address(aligned.original),
            "difference": _address(aligned.difference),
            "copy_name": (explanation.first if aligned.is_first_copy else explanation.second).name,
            "original_name": (
                explanation.second if aligned.is_first_copy else explanation.first
            ).name,
            "ratio": aligned.copy.shape[1] / aligned.copy.shape[0],
        },
    }


def _address(image: U8) -> str:
    return picture_address(image, side=PICTURE_SIDE, quality=PICTURE_QUALITY)
