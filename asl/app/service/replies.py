"""Reply bodies of the service, as in its OpenAPI description."""

from __future__ import annotations

from pydantic import BaseModel, Field

from asl.app.library.facts import Facts
from asl.app.library.records import Name
from asl.app.matches import Match


class Reference(BaseModel):
    """A reference."""

    id: str = Field(description="made by the server from the content; the same image, the same id")
    label: str = Field(description="file name that the client sent")
    width: int = Field(description="pixels")
    height: int = Field(description="pixels")
    bytes: int = Field(description="size of the file")

    @classmethod
    def of(cls, name: Name, facts: Facts) -> Reference:
        """Build from the store's records."""
        return cls(
            id=name.name,
            label=name.label,
            width=facts.width,
            height=facts.height,
            bytes=facts.bytes,
        )


class AddReply(BaseModel):
    """Outcome of adding an image."""

    reference: Reference
    new: bool = Field(description="false if the same image was there already")


class ListReply(BaseModel):
    """A page of references, oldest first."""

    total: int = Field(description="number of references, of those with the label if one is given")
    references: list[Reference]


class MatchReply(BaseModel):
    """A reference that may be the original of the image, or a copy of it."""

    reference: Reference
    probability: float = Field(
        description="0..1, from the aligned pixels, that one of the two is a copy of the other"
    )
    same_moment: float = Field(
        description="0..1, that both are shots of one moment, neither made from the other"
    )
    accepted: bool = Field(description="probability >= threshold")
    direction: str = Field(
        description="reference->query, query->reference or unclear; the arrow points at the copy"
    )
    score: float = Field(
        description="of the embeddings; higher = surer that the image is a copy of the reference"
    )
    cosine: float = Field(description="of the embeddings")
    query_log_norm: float
    reference_log_norm: float
    why: str = Field(description="strongest cue for the direction; empty where it is unclear")
    reason: str = Field(description="content that the two share")
    edits: list[str] = Field(description="probable edits")
    query_outline: list[tuple[float, float]] = Field(
        description="corners (x, y) of the shared area as shares 0..1 of the image"
    )
    reference_outline: list[tuple[float, float]] = Field(
        description="the same corners in the reference"
    )

    @classmethod
    def of(cls, match: Match, reference: Reference) -> MatchReply:
        """Build from a match of the detector."""
        return cls(
            reference=reference,
            probability=match.probability,
            same_moment=match.same_moment,
            accepted=match.accepted,
            direction=match.direction,
            score=match.score,
            cosine=match.cosine,
            query_log_norm=match.query_log_norm,
            reference_log_norm=match.reference_log_norm,
            why=match.why,
            reason=match.reason,
            edits=list(match.edits),
            query_outline=list(match.query_outline),
            reference_outline=list(match.reference_outline),
        )


class SearchReply(BaseModel):
    """Matches, surest first."""

    threshold: float = Field(description="probability from which on a match is accepted")
    references: int = Field(description="number of references searched")
    compared: int = Field(
        description="number of candidates whose pixels were compared; below k where time ran out"
    )
    matches: list[MatchReply]


class BatchAnswer(BaseModel):
    """Answer to one of several images."""

    name: str = Field(description="file name that the client sent")
    compared: int = Field(description="number of candidates whose pixels were compared")
    matches: list[MatchReply] = Field(description="surest first; empty where the image failed")
    error: str | None = Field(
        default=None, description="why the image could not be searched; null if it was"
    )


class BatchReply(BaseModel):
    """Answers to several images, in the order in which they were sent."""

    threshold: float = Field(description="probability from which on a match is accepted")
    references: int = Field(description="number of references searched")
    searched: int = Field(description="number of images that were searched")
    failed: int = Field(description="number of images that were not; their answers say why")
    answers: list[BatchAnswer]


class LookupReply(BaseModel):
    """Answer in the form of Hasher-Matcher-Actioner's lookup: signal type -> names of banks."""

    asl: list[str] = Field(
        description='["references"] if a reference matches with the threshold or more, else []'
    )


class ErrorReply(BaseModel):
    """Reason why a request was refused."""

    error: str
