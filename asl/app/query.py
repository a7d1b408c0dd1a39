"""An image that a detector is asked about, and what it says of one candidate."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from asl.app.library.facts import Facts
from asl.app.library.ingest import Intake
from asl.app.matches import Match
from asl.app.origin import find_origin
from asl.app.pair_verifier import SAME, PairVerifier
from asl.matching.align.prepare import Prepared
from asl.scoring.score import Score, from_cosines
from asl.types import F32, AslError


@dataclass(frozen=True, eq=False)
class Query:
    """One image.

    Attributes:
        digest: SHA-256 of its encoded bytes.
        looks: float32 ``[1 + R, D]`` unit rows: the whole, then its parts.
        log_norm: ln |f| of the whole.
        facts: what its file says.
        prepared: for the verifier.
    """

    digest: str
    looks: F32
    log_norm: float
    facts: Facts
    prepared: Prepared

    @classmethod
    def of(cls, data: bytes, intake: Intake, judge: PairVerifier) -> Query:
        """Look at encoded bytes.

        Raises:
            ImageError: no usable image.
            AslError: the model gives it no direction.
        """
        features, facts, picture = intake.look(data)
        norms = np.linalg.norm(features.astype(np.float64), axis=1)
        if not (np.isfinite(norms[0]) and norms[0] > 0):
            raise AslError("query: the model gives this image no direction")
        kept = np.isfinite(norms) & (norms > 0)
        looks = (features[kept] / norms[kept, None]).astype(np.float32)
        return cls(
            hashlib.sha256(data).hexdigest(),
            looks,
            float(np.log(norms[0])),
            facts,
            judge.prepare(picture),
        )


@dataclass(frozen=True, eq=False)
class Candidate:
    """A reference that is compared with a query.

    Attributes:
        name: of the reference.
        digest: of its content.
        facts: what its file says.
        vector: float32 ``[D]`` unit, of the whole.
        log_norm: ln |f| of the whole.
    """

    name: str
    digest: str
    facts: Facts
    vector: F32
    log_norm: float


def compare(
    query: Query, candidate: Candidate, judge: PairVerifier, *, score: Score, threshold: float
) -> Match:
    """What the pixels and the features say of a pair."""
    same = query.digest == candidate.digest
    judgement = SAME if same else judge.compare(query.prepared, candidate.digest)
    origin = find_origin(
        judgement,
        query.facts,
        candidate.facts,
        first_log_norm=query.log_norm,
        second_log_norm=candidate.log_norm,
    )
    cosine = float(query.looks[0] @ candidate.vector)
    norms = np.array([query.log_norm, candidate.log_norm], dtype=np.float32)
    return Match(
        reference=candidate.name,
        probability=judgement.probability,
        accepted=judgement.probability >= threshold,
        direction=origin.direction.replace("second", "reference").replace("first", "query"),
        score=float(from_cosines(np.array([cosine]), norms[:1], norms[1:], score)[0]),
        cosine=cosine,
        query_log_norm=query.log_norm,
        reference_log_norm=candidate.log_norm,
        why=origin.why,
        reason=judgement.reason,
        edits=judgement.edits,
        query_outline=judgement.first_outline,
        reference_outline=judgement.second_outline,
    )
