"""What the service answers, as its OpenAPI description shows it."""

from __future__ import annotations

from pydantic import BaseModel, Field

from asl.app.library.facts import Facts
from asl.app.library.records import Name
from asl.app.matches import Match


class Reference(BaseModel):
    """One reference."""

    id: str = Field(
        description="made by the server from the content; the same image has the same id"
    )
    label: str = Field(description="what the client called it")
    width: int
    height: int
    bytes: int

    @classmethod
    def of(cls, name: Name, facts: Facts) -> Reference:
        """From the store's values."""
        return cls(
            id=name.name,
            label=name.label,
            width=facts.width,
            height=facts.height,
            bytes=facts.bytes,
        )


class AddReply(BaseModel):
    """What became of an added image."""

    reference: Reference
    new: bool = Field(description="false where the same image was there already")


class ListReply(BaseModel):
    """A page of references, oldest first."""

    total: int
    references: list[Reference]


class MatchReply(BaseModel):
    """A reference that the image may come from, or that may come from the image."""

    reference: Reference
    probability: float = Field(
        description="0..1, that one was made from the other, from the aligned pixels"
    )
    accepted: bool = Field(description="probability >= threshold")
    direction: str = Field(
        description="reference->query, query->reference or unclear; the arrow points at the copy"
    )
    score: float = Field(
        description="of the embeddings, higher = surer that the image is a copy of the reference"
    )
    cosine: float
    query_log_norm: float
    reference_log_norm: float
    why: str = Field(description="what speaks for the direction")
    reason: str = Field(description="what the two have in common")
    edits: list[str] = Field(description="what was probably done")
    query_outline: list[tuple[float, float]] = Field(
        description="corners of the shared part, 0..1 of the image"
    )
    reference_outline: list[tuple[float, float]]

    @classmethod
    def of(cls, match: Match, reference: Reference) -> MatchReply:
        """From a match of the detector."""
        return cls(
            reference=reference,
            probability=match.probability,
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
    """Matches, the surest first."""

    threshold: float
    references: int = Field(description="how many there were to search")
    matches: list[MatchReply]


class Error(BaseModel):
    """Why a request was refused."""

    error: str
