"""Copy detector behind HTTP, for the machine that it runs on.

The body of a request is the image itself, kept in memory while it is compared. No address is
fetched and no path is taken from a client: references are known by ids that the server makes from
their content.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypeVar

import anyio
from fastapi import Depends, FastAPI, Path, Query, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse
from fastapi.security import HTTPBearer

from asl.app.detector import CopyDetector
from asl.app.library.records import Source
from asl.app.library.sources import content_id
from asl.app.service.guard import OPEN_PATHS, Guard, ServiceOptions, explain_errors
from asl.app.service.prometheus import CONTENT_TYPE, Metrics
from asl.app.service.replies import (
    AddReply,
    ErrorReply,
    ListReply,
    MatchReply,
    Reference,
    SearchReply,
)
from asl.app.service.uploads import BodyMemory, Gate, Refused, clean_label, read_body
from asl.data.images import ImageError
from asl.report.page import render
from asl.shared_defaults import NEIGHBOURS
from asl.types import AslError
from asl.version import __version__

PAGE_FOLDER = "app/service/page"
STORE_READERS = 4  # threads that read the store at once
UNKNOWN_REFERENCE = "there is no such reference"
Result = TypeVar("Result")
Id = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="of a reference")]
Label = Annotated[str, Query(max_length=1000, description="file name, for people")]
Responses = dict[int | str, dict[str, Any]]
REFUSALS: Responses = {
    code: {"model": ErrorReply} for code in (400, 401, 403, 405, 408, 413, 415, 422, 503, 507)
}
NOT_FOUND: Responses = {404: {"model": ErrorReply}}
ADDED: Responses = {
    200: {"model": AddReply, "description": "The same image was there already"},
    201: {"description": "Added"},
}
IMAGE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}},
    }
}


def create_app(detector: CopyDetector, options: ServiceOptions) -> FastAPI:
    """Create the service around a detector.

    Args:
        detector: should keep its references in a folder, so that they survive the process.
        options: limits.
    """
    metrics = Metrics()
    guard = Guard(options, metrics)
    service = _Service(detector, options, guard, metrics)
    dependencies = [Depends(_refuse_unknown_parameters)]
    if options.token:  # the guard checks it; this only describes it
        dependencies.append(Depends(HTTPBearer(auto_error=False, description="The token")))
    app = FastAPI(
        title="asl",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        responses=REFUSALS,
        description="Which image was this one made from? The body of a request is the image.",
        dependencies=dependencies,
    )
    app.middleware("http")(guard)
    explain_errors(app)
    _add_status_routes(app, service)
    reference = "/references/{id}"
    app.post(
        "/references",
        status_code=201,
        openapi_extra=IMAGE_BODY,
        responses=ADDED,
        summary="Add an image",
    )(service.add)
    app.get("/references", summary="List references")(service.listing)
    app.get(reference, responses=NOT_FOUND, summary="Describe a reference")(service.get)
    app.get(
        f"{reference}/picture",
        response_class=Response,
        responses=NOT_FOUND,
        summary="Thumbnail of a reference (JPEG)",
    )(service.picture)
    app.delete(reference, status_code=204, responses=NOT_FOUND, summary="Remove a reference")(
        service.remove
    )
    app.post("/search", openapi_extra=IMAGE_BODY, summary="What was this image made from?")(
        service.search
    )
    return app


def _add_status_routes(app: FastAPI, service: _Service) -> None:
    app.get("/", response_class=HTMLResponse, include_in_schema=False)(service.page)
    app.get("/health", summary="Is the process alive?")(service.health)
    app.get("/ready", summary="Can it answer?")(service.ready)
    # Load balancers ask by HEAD.
    app.head("/health", include_in_schema=False)(service.health)
    app.head("/ready", include_in_schema=False)(service.ready)
    app.get("/metrics", response_class=PlainTextResponse, summary="Counters for Prometheus")(
        service.metrics
    )


class _Service:
    def __init__(
        self, detector: CopyDetector, options: ServiceOptions, guard: Guard, metrics: Metrics
    ) -> None:
        self._detector = detector
        self._options = options
        self._guard = guard
        self._metrics = metrics
        self._gate = Gate(options.max_uploads)
        self._memory = BodyMemory(options.max_uploads * options.max_bytes)
        self._limiters: tuple[anyio.CapacityLimiter, anyio.CapacityLimiter] | None = None
        self._page, self._policy = _render_page()

    async def _run(self, work: Callable[[], Result], *, quick: bool = False) -> Result:
        """Run in a thread; quick work (reading the store) does not queue behind images."""
        if self._limiters is None:  # needs a running loop
            self._limiters = (
                anyio.CapacityLimiter(self._options.workers),
                anyio.CapacityLimiter(STORE_READERS),
            )
        return await anyio.to_thread.run_sync(work, limiter=self._limiters[quick])

    async def page(self) -> HTMLResponse:
        """Page to drop images on."""
        return HTMLResponse(self._page, headers={"Content-Security-Policy": self._policy})

    async def health(self) -> dict[str, str]:
        """The process answers."""
        return {"status": "ok", "version": __version__}

    async def ready(self, request: Request) -> dict[str, Any]:
        """The model is loaded, the store readable; with the token, the number of references."""
        await self._run(lambda: self._detector.store.known(""), quick=True)
        trusted = self._guard.is_trusted(request)
        facts = {"references": len(self._detector)} if trusted else {}
        return {"status": "ready", **facts, "token": bool(self._options.token)}

    async def metrics(self) -> Response:
        """Counters since the start."""
        text = self._metrics.text(references=len(self._detector), busy=self._gate.busy)
        return Response(text, headers={"Content-Type": CONTENT_TYPE})

    @asynccontextmanager
    async def _upload(self, request: Request) -> AsyncIterator[bytes]:
        """Read the body, then hold a place for the work on it."""
        async with self._memory.share() as take:
            data = await read_body(
                request,
                max_bytes=self._options.max_bytes,
                seconds=self._options.seconds,
                take=take,
            )
            async with self._gate.enter():
                yield data

    async def add(self, request: Request, response: Response, label: Label = "") -> AddReply:
        """Add the image in the body; the same image again changes nothing (200)."""
        async with self._upload(request) as data:
            source = Source(content_id(data), data, clean_label(label))
            reply = await self._run(lambda: self._add(source))
        response.status_code = 201 if reply.new else 200
        return reply

    def _add(self, source: Source) -> AddReply:
        if source.name in self._detector:
            try:
                return AddReply(reference=self._describe(source.name), new=False)
            except AslError:
                pass  # removed meanwhile: add it again
        added = self._detector.add_sources([source], 1)
        if added.failures:
            raise ImageError(added.failures[0][1])
        return AddReply(reference=self._describe(source.name), new=bool(added.added))

    def _describe(self, name: str) -> Reference:
        return Reference.of(*self._detector.describe(name))

    async def listing(
        self,
        offset: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        label: Annotated[
            str, Query(max_length=200, description="only labels that contain this text")
        ] = "",
    ) -> ListReply:
        """References, oldest first."""
        detector = self._detector
        names = detector.labelled(label) if label else detector.names
        page = names[offset : offset + limit]
        described = await self._run(lambda: detector.describe_many(page), quick=True)
        references = [Reference.of(*item) for item in described]
        return ListReply(total=len(names), references=references)

    async def get(self, id: Id) -> Reference:
        """One reference."""
        return await self._run(lambda: self._describe_known(id), quick=True)

    def _describe_known(self, name: str) -> Reference:
        if name not in self._detector:
            raise Refused(404, UNKNOWN_REFERENCE)
        return self._describe(name)

    async def picture(self, id: Id) -> Response:
        """Thumbnail of a reference."""
        data = await self._run(lambda: self._detector.picture(id), quick=True)
        if not data:
            raise Refused(404, UNKNOWN_REFERENCE)
        return Response(data, media_type="image/jpeg")

    async def remove(self, id: Id) -> Response:
        """Remove a reference."""
        if not await self._run(lambda: self._detector.remove(id)):
            raise Refused(404, UNKNOWN_REFERENCE)
        return Response(status_code=204)

    async def search(
        self,
        request: Request,
        k: Annotated[
            int, Query(ge=1, le=100, description="number of candidates that are verified")
        ] = NEIGHBOURS,
        min_probability: Annotated[
            float | None, Query(ge=0, le=1, description="leave out less probable matches")
        ] = None,
    ) -> SearchReply:
        """Search for the image in the body, which is not kept."""
        async with self._upload(request) as data:
            return await self._run(lambda: self._search(data, k, min_probability))

    def _search(self, data: bytes, k: int, min_probability: float | None) -> SearchReply:
        matches = []
        for match in self._detector.query(data, k=k, min_probability=min_probability):
            try:
                matches.append(MatchReply.of(match, self._describe(match.reference)))
            except AslError:
                continue  # removed meanwhile
        return SearchReply(
            threshold=self._detector.threshold, references=len(self._detector), matches=matches
        )


async def _refuse_unknown_parameters(request: Request) -> None:
    """Refuse unknown parameters: a typo would be ignored, and its default used."""
    route = request.scope["route"]
    known = [field.alias for field in route.dependant.query_params]
    unknown = sorted(set(request.query_params) - set(known))
    if unknown and route.path not in OPEN_PATHS:
        hint = f"known are {', '.join(known)}" if known else "there are none here"
        raise Refused(400, f"there is no parameter {unknown[0][:40]!r}; {hint}")


def _render_page() -> tuple[str, str]:
    """Render the page; return it with a policy that runs no script but its own."""
    text = render("service.html", folder=PAGE_FOLDER)
    script = text.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "img-src blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    return text, policy
