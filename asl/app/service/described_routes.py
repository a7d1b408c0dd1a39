"""Add routes to the service: described once, with HEAD where there is GET."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse

from asl.app.service.replies import AddReply, ErrorReply

MOST_IMAGES = 100  # of a batch
DESCRIPTION = (
    "Which image was this one made from? The body of a request is the image itself, or a multipart "
    "form. The paths without /v1 of earlier clients give the same answers."
)
Responses = dict[int | str, dict[str, Any]]
REFUSALS: Responses = {
    code: {"model": ErrorReply} for code in (400, 401, 403, 405, 408, 413, 415, 422, 503, 507)
}
NOT_FOUND: Responses = {404: {"model": ErrorReply}}
ADDED: Responses = {
    200: {"model": AddReply, "description": "The same image was there already"},
    201: {"description": "Added"},
}
BINARY: dict[str, Any] = {"type": "string", "format": "binary"}


def _form(field: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Describe a multipart form of one field."""
    form = {"type": "object", "required": [field], "properties": {field: schema}}
    return {"multipart/form-data": {"schema": form | {"additionalProperties": False}}}


def _body(content: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": content}}


IMAGE_BODY = _body({"image/*": {"schema": BINARY}, **_form("image", BINARY)})
IMAGES = {"type": "array", "items": BINARY, "minItems": 1, "maxItems": MOST_IMAGES}
BATCH_BODY = _body(_form("images", IMAGES))
LOOKUP_BODY = _body(_form("photo", BINARY))


@dataclass(frozen=True, eq=False)
class Routes:
    """Routes that share a prefix and their dependencies.

    Attributes:
        app: that they are added to.
        dependencies: of each route.
        prefix: of their paths.
        described: they are in the OpenAPI description.
    """

    app: FastAPI
    dependencies: Sequence[Any]
    prefix: str = ""
    described: bool = True

    def add(
        self,
        method: str,
        path: str,
        endpoint: Callable[..., Any],
        summary: str,
        *,
        extra: dict[str, Any] | None = None,
        responses: Responses | None = None,
        status_code: int | None = None,
        response_class: type[Response] = JSONResponse,
    ) -> None:
        """Add a route.

        Args:
            method: ``GET`` (with ``HEAD``, which load balancers and browsers send), ``POST`` ...
            path: after the prefix.
            endpoint: answers.
            summary: one line for the description.
            extra: of its description, such as the body.
            responses: further answers of its description.
            status_code: of the usual answer; 200 unless given.
            response_class: of the usual answer.
        """
        for name in (method, *(("HEAD",) if method == "GET" else ())):
            self.app.add_api_route(
                f"{self.prefix}{path}",
                endpoint,
                methods=[name],
                summary=summary,
                include_in_schema=self.described and name != "HEAD",
                dependencies=self.dependencies,
                openapi_extra=extra,
                responses=responses,
                status_code=status_code,
                response_class=response_class,
            )
