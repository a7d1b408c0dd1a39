"""Embed a query and compare it with a candidate reference."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np

from asl.app.library.facts import Facts
from asl.app.library.image_forms import ImageInput, encoded, is_encoded, is_path
from asl.app.library.ingest import Ingestor
from asl.app.library.records import Name
from asl.app.library.vectors import VectorView
from asl.app.matches import Direction, Match
from asl.app.pairs.edits_seen import directed_edits, undirected_edits
from asl.app.pairs.origin import find_origin
from asl.app.pairs.pair_verdict import PairVerdict
from asl.app.pairs.pair_verifier import PairVerifier
from asl.app.pairs.same_content import same_content
from asl.data.image_error import ImageError
from asl.matching.align.prepare import Prepared
from asl.matching.align.xfeat import LearnedFeatures
from asl.scoring.score import Score, from_cosines
from asl.types import F32, AslError


@dataclass(frozen=True, eq=False)
class Query:
    """An embedded query image.

    Attributes:
        digest: SHA-256 of the encoded bytes.
        vectors: float32 ``[1 + R, D]`` unit rows: the whole image, then its regions.
        log_norm: ln |f| of the whole image.
        facts: of the file.
        prepared: input of the verifier.
        thumbnail: JPEG at the size at which pairs are compared.
    """

    digest: str
    vectors: F32
    log_norm: float
    facts: Facts
    prepared: Prepared
    thumbnail: bytes = b""

    @classmethod
    def from_image(
        cls,
        image: ImageInput,
        ingestor: Ingestor,
        verifier: PairVerifier,
        *,
        name: str = "image",
    ) -> Query:
        """Embed an image in any form; bare pixels have no file format.

        Args:
            image: of the query.
            ingestor: embeds it.
            verifier: prepares it for comparisons.
            name: of the argument; errors name it where the image is no file.

        Raises:
            ImageError: the image cannot be used; its path or ``name`` is named.
            UsageError: it cannot be read, or is no image.
        """
        try:
            query = cls.from_bytes(encoded(image), ingestor, verifier)
        except ImageError as error:
            raise ImageError(error.reason, image=str(image) if is_path(image) else name) from error
        if is_encoded(image):
            return query
        return replace(query, facts=replace(query.facts, format=""))

    @classmethod
    def from_bytes(cls, data: bytes, ingestor: Ingestor, verifier: PairVerifier) -> Query:
        """Decode and embed an encoded image.

        Raises:
            ImageError: the bytes are no usable image.
            AslError: the model returns a zero or non-finite embedding.
        """
        features, facts, thumbnail = ingestor.embed(data)
        norms = np.linalg.norm(features.astype(np.float64), axis=1)
        usable = np.isfinite(norms) & (norms > 0)
        if not usable[0]:
            raise AslError(f"query: the embedding has norm {norms[0]}; use another image or model")
        vectors = (features[usable] / norms[usable, None]).astype(np.float32)
        return cls(
            hashlib.sha256(data).hexdigest(),
            vectors,
            float(np.log(norms[0])),
            facts,
            verifier.prepare(thumbnail),
            thumbnail,
        )

    def begin_learned(self, threads: Executor) -> Iterator[LearnedFeatures]:
        """Begin to detect the learned features that every comparison needs.

        Returns:
            Those of the image and of its mirror image; to be read before the first comparison.
        """
        readings = (self.prepared, self.prepared.mirror)
        return threads.map(lambda reading: reading.learned, readings)


@dataclass(frozen=True, eq=False)
class Candidate:
    """A reference to compare with a query.

    Attributes:
        name: of the reference.
        digest: of its content.
        facts: of its file.
        vector: float32 ``[D]`` unit vector of the whole image.
        log_norm: ln |f| of the whole image.
        path: of its file; empty where it came without one.
    """

    name: str
    digest: str
    facts: Facts
    vector: F32
    log_norm: float
    path: str = ""

    @classmethod
    def of(cls, name: Name, facts: Facts, view: VectorView, row: int) -> Candidate:
        """Join the records of a reference with its row of the index."""
        vector, log_norm = view.vectors[row], float(view.log_norms[row])
        return cls(name.name, name.digest, facts, vector, log_norm, name.path)


def match_candidate(
    query: Query,
    candidate: Candidate,
    verifier: PairVerifier,
    *,
    score: Score,
    threshold: float,
) -> Match:
    """Verify a candidate and decide the direction.

    Args:
        query: the embedded query.
        candidate: the reference.
        verifier: holds the thumbnails of the references.
        score: of the embeddings.
        threshold: probability from which on a match is accepted.
    """
    verdict = verdict_of(query, candidate, verifier)
    origin = find_origin(
        verdict,
        query.facts,
        candidate.facts,
        first_log_norm=query.log_norm,
        second_log_norm=candidate.log_norm,
    )
    cosine = float(query.vectors[0] @ candidate.vector)
    norms = np.array([query.log_norm, candidate.log_norm], dtype=np.float32)
    return Match(
        reference=candidate.name,
        probability=verdict.probability,
        accepted=verdict.probability >= threshold,
        direction=cast(Direction, origin.between("query", "reference")),
        score=float(from_cosines(np.array([cosine]), norms[:1], norms[1:], score)[0]),
        cosine=cosine,
        query_log_norm=query.log_norm,
        reference_log_norm=candidate.log_norm,
        why=origin.why if origin.clear else "",
        reason=verdict.reason,
        edits=(
            directed_edits(
                verdict,
                copy_is_first=origin.direction == "second->first",
                first=query.facts,
                second=candidate.facts,
            )
            if origin.clear
            else undirected_edits(verdict, first=query.facts, second=candidate.facts)
        ),
        query_outline=verdict.first_outline,
        reference_outline=verdict.second_outline,
        path=Path(candidate.path) if candidate.path else None,
        same_moment=verdict.same_moment,
    )


def verdict_of(query: Query, candidate: Candidate, verifier: PairVerifier) -> PairVerdict:
    """Verify a candidate; identical files and identical pixels need no verification."""
    same = same_content((query.digest, query.facts), (candidate.digest, candidate.facts))
    return same or verifier.verify_query(query.prepared, candidate.digest)
