"""Compare two images: is one a copy of the other, and which is the original?"""

from __future__ import annotations

from functools import lru_cache
from os import PathLike
from pathlib import Path

from asl.app.library.image_forms import ImageInput, is_image
from asl.app.library.ingest import Ingestor
from asl.app.matches import Match
from asl.app.pairs.pair_verifier import PairVerifier
from asl.app.query import Candidate, Query, match_candidate
from asl.matching.decision.thresholds import threshold_for
from asl.models.opening import ModelInput
from asl.shared_defaults import MODEL, PRECISION
from asl.types import UsageError

_load = lru_cache(maxsize=2)(Ingestor)


def compare(
    query: ImageInput,
    reference: ImageInput,
    *,
    model: ModelInput = MODEL,
    precision: float = PRECISION,
    device: str = "auto",
) -> Match:
    """Verify one pair of images.

    Args:
        query: the first image, in any form that :meth:`asl.app.detector.CopyDetector.add` takes.
        reference: the second image.
        model: for the embeddings; the decision is the verifier's, from the aligned pixels.
        precision: share of accepted pairs that are right.
        device: ``auto``, ``cpu``, ``cuda``.

    Returns:
        A match with ``query`` and ``reference`` as they were given; ``direction`` says which of the
        two is the original.

    Raises:
        ImageError: an image cannot be used.
        UsageError: a value is no image, or there is no such model, precision or device.
    """
    for image in (query, reference):
        if not is_image(image):
            raise UsageError(f"compare: expected two images, got {type(image).__name__}")
    threshold = threshold_for(precision)
    ingestor = _load(model, device=device)
    thumbnails: dict[str, bytes] = {}
    verifier = PairVerifier(thumbnails.__getitem__)
    first, second = (
        Query.from_image(image, ingestor, verifier, name=name)
        for name, image in (("query", query), ("reference", reference))
    )
    thumbnails[second.digest] = second.thumbnail
    file = Path(reference).expanduser() if isinstance(reference, str | PathLike) else None
    candidate = Candidate(
        file.name if file else "reference",
        second.digest,
        second.facts,
        second.vectors[0],
        second.log_norm,
        str(file.absolute()) if file else "",
    )
    return match_candidate(first, candidate, verifier, score=ingestor.score, threshold=threshold)
