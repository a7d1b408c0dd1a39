"""Bodies of replies: what a match and a reference show to clients."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest

pytest.importorskip("fastapi", reason="the service needs `pip install asl-icd[serve]`")
from pydantic import BaseModel, ValidationError

from asl.app.library.facts import Facts
from asl.app.library.records import Name
from asl.app.matches import Match
from asl.app.service.replies import (
    AddReply,
    ErrorReply,
    ListReply,
    MatchReply,
    Reference,
    SearchReply,
)

NAME = Name("0a1b", "digest", label="photo.jpg", size=99)
FACTS = Facts(400, 300, 1234, "JPEG")
MATCH = Match(
    reference="0a1b",
    probability=0.9,
    accepted=True,
    direction="reference->query",
    score=0.4,
    cosine=0.5,
    query_log_norm=0.1,
    reference_log_norm=0.2,
    why="cropped",
    reason="all of it",
    edits=("cropped to 36 %", "re-encoded"),
    query_outline=((0.0, 0.0), (1.0, 0.5)),
    reference_outline=(),
    same_moment=0.04,
)


def test_a_reference_shows_the_client_s_label_and_the_size_of_the_file() -> None:
    shown = Reference.of(NAME, FACTS).model_dump()
    assert shown == {"id": "0a1b", "label": "photo.jpg", "width": 400, "height": 300, "bytes": 1234}


def test_a_match_is_told_whole() -> None:
    reply = MatchReply.of(MATCH, Reference.of(NAME, FACTS))
    told = reply.model_dump()
    for field in fields(MATCH):
        if field.name not in ("reference", "edits", "query_outline", "reference_outline", "path"):
            assert told[field.name] == getattr(MATCH, field.name), field.name
    assert told["reference"]["id"] == MATCH.reference
    assert json.loads(reply.model_dump_json())["query_outline"] == [[0, 0], [1, 0.5]]
    assert told["edits"] == ["cropped to 36 %", "re-encoded"]
    # Where the server keeps its files is nothing for a client.
    assert set(told) == {field.name for field in fields(MATCH)} - {"path"}


@pytest.mark.parametrize(
    "model", [Reference, AddReply, ListReply, MatchReply, SearchReply, ErrorReply]
)
def test_every_field_is_needed(model: type[BaseModel]) -> None:
    assert model.model_json_schema()["required"] == list(model.model_fields)
    with pytest.raises(ValidationError):
        model()


def test_a_reply_of_wrong_types_is_refused() -> None:
    with pytest.raises(ValidationError, match="probability"):
        MatchReply.of(replace(MATCH, probability="high"), Reference.of(NAME, FACTS))  # type: ignore[arg-type]
