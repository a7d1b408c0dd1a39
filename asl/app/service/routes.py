"""Copy detector behind HTTP, for the machine that it runs on.

The body of a request is the image itself, kept in memory while it is compared. No address is
fetched and no path is taken from a client: references are known by ids that the server makes from
their content.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, TypeVar

import anyio
from fastapi import Depends, FastAPI, Path, Query, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse
from fastapi.security import HTTPBearer

from asl.app.detector import CopyDetector
from asl.app.library.records import Source
from asl.app.library.sources import content_id
from asl.app.service.api_page import DOCS_POLICY, api_page
from asl.app.service.described_routes import (
    ADDED,
    BATCH_BODY,
    DESCRIPTION,
    IMAGE_BODY,
    LOOKUP_BODY,
    MOST_IMAGES,
    NOT_FOUND,
    REFUSALS,
    Routes,
)
from asl.app.service.form_files import FormFile, is_form, read_form
from asl.app.service.guard import Guard, ServiceOptions, explain_errors, unusable
from asl.app.service.prometheus import CONTENT_TYPE, Metrics
from asl.app.service.replies import (
    AddReply,
    BatchAnswer,
    BatchReply,
    ListReply,
    LookupReply,
    MatchReply,
    Reference,
    SearchReply,
)
from asl.app.service.served_page import refuse_unknown_parameters, served_page
from asl.app.service.uploads import BodyMemory, Gate, Refused, clean_label, read_body
from asl.data.images import ImageError
from asl.shared_defaults import NEIGHBOURS
from asl.types import AslError
from asl.version import __version__

PAGE_FOLDER = "app/service/page"
BATCH_SECONDS = 60.0  # for the search of a batch; the images that are left are named
MOST_BATCH_BODIES = 4  # largest body of a batch, in largest images
FORM_OVERHEAD = 2**16  # bytes of boundaries and headers beside the files
COMPARE_SECONDS = 5.0  # from the arrival of the image; then no further candidate is compared
STORE_READERS = 4  # threads that read the store at once
UNKNOWN_REFERENCE = "there is no such reference; GET /v1/references lists them"
Result = TypeVar("Result")
Id = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="of a reference")]
Candidates = Annotated[
    int,
    Query(
        ge=1,
        le=100,
        description="number of candidates by embeddings that are verified, beside those by local "
        "features",
    ),
]
Least = Annotated[float | None, Query(ge=0, le=1, description="leave out less probable matches")]
Label = Annotated[str, Query(max_length=1000, description="file name, for people")]


def create_app(detector: CopyDetector, options: ServiceOptions) -> FastAPI:
    """Create the service around a detector.

    Args:
        detector: should keep its references in a folder, so that they survive the process.
        options: limits.
    """
    metrics = Metrics()
    guard = Guard(options, metrics)
    service = _Service(detector, options, guard, metrics)
    app = FastAPI(
        title="asl",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        responses=REFUSALS,
        description=DESCRIPTION,
        dependencies=[Depends(refuse_unknown_parameters)],
    )
    app.middleware("http")(guard)
    explain_errors(app)
    # The guard checks the token; this only describes it.
    token = [Depends(HTTPBearer(auto_error=False, description="The token"))]
    secured = Routes(app, token if options.token else [])
    _add_status_routes(Routes(app, []), secured, service)
    _add_api_routes(replace(secured, prefix="/v1"), service)
    _add_api_routes(replace(secured, described=False), service)
    secured.add("POST", "/m/lookup", service.lookup, "Lookup as in HMA", extra=LOOKUP_BODY)
    return app


def _add_status_routes(open_to_all: Routes, secured: Routes, service: _Service) -> None:
    hidden = replace(open_to_all, described=False)
    hidden.add("GET", "/", service.page, "Page", response_class=HTMLResponse)
    hidden.add("GET", "/docs", service.docs, "This page", response_class=HTMLResponse)
    open_to_all.add("GET", "/health", service.health, "Is the process alive?")
    open_to_all.add("GET", "/ready", service.ready, "Can it answer?")
    secured.add(
        "GET",
        "/metrics",
        service.metrics,
        "Counters for Prometheus",
        response_class=PlainTextResponse,
    )


def _add_api_routes(routes: Routes, service: _Service) -> None:
    one = "/references/{id}"
    routes.add(
        "POST", "/search", service.search, "What was this image made from?", extra=IMAGE_BODY
    )
    routes.add("POST", "/search/batch", service.batch, "The same for many", extra=BATCH_BODY)
    routes.add(
        "POST",
        "/references",
        service.add,
        "Add an image",
        extra=IMAGE_BODY,
        responses=ADDED,
        status_code=201,
    )
    routes.add("GET", "/references", service.listing, "List references")
    routes.add("GET", one, service.get, "Describe a reference", responses=NOT_FOUND)
    routes.add(
        "GET",
        f"{one}/picture",
        service.picture,
        "Thumbnail of a reference (JPEG)",
        responses=NOT_FOUND,
        response_class=Response,
    )
    routes.add(
        "DELETE", one, service.remove, "Remove a reference", responses=NOT_FOUND, status_code=204
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
        self._memory = BodyMemory(options.max_uploads * options.max_bytes + FORM_OVERHEAD)
        self._limiters: tuple[anyio.CapacityLimiter, anyio.CapacityLimiter] | None = None
        self._page, self._policy = served_page("service.html", folder=PAGE_FOLDER)
        self._docs: str | None = None

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

    async def docs(self, request: Request) -> HTMLResponse:
        """Describe the interface."""
        if self._docs is None:
            self._docs = api_page(request.app.openapi())
        return HTMLResponse(self._docs, headers={"Content-Security-Policy": DOCS_POLICY})

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
    async def _upload(self, request: Request) -> AsyncIterator[FormFile]:
        """Read one image, from the body or a form, then hold a place for the work on it."""
        if is_form(request):
            async with self._form(request, field="image", most=1) as (file,):
                yield file
            return
        async with self._memory.share() as take:
            data = await read_body(
                request,
                max_bytes=self._options.max_bytes,
                seconds=self._options.seconds,
                take=take,
            )
            async with self._gate.enter():
                yield FormFile("image", "", data)

    @asynccontextmanager
    async def _form(
        self, request: Request, *, field: str, most: int
    ) -> AsyncIterator[list[FormFile]]:
        """Read the files of a form, then hold a place for the work on them."""
        if not is_form(request):
            expected = f"send a multipart form, e.g. curl -F {field}=@photo.jpg"
            raise Refused(415, f"Content-Type: {expected}", close=True)
        limit = self._options.max_bytes
        # More than fits into the memory of all uploads is too large, whoever else sends.
        bodies = min(most, MOST_BATCH_BODIES, self._options.max_uploads)
        async with self._memory.share() as take:
            files = await read_form(
                request,
                field=field,
                most=most,
                max_bytes=bodies * limit + FORM_OVERHEAD,
                max_file_bytes=limit,
                seconds=self._options.seconds,
                take=take,
            )
            async with self._gate.enter():
                yield files

    async def add(self, request: Request, response: Response, label: Label = "") -> AddReply:
        """Add the image in the body; the same image again changes nothing (200)."""
        async with self._upload(request) as file:
            source = Source(content_id(file.data), file.data, clean_label(label) or file.label)
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
        # In a thread: a million labels take a while to compare.
        return await self._run(lambda: self._list(label, offset, offset + limit), quick=True)

    def _list(self, label: str, start: int, end: int) -> ListReply:
        detector = self._detector
        names = detector.labelled(label) if label else detector.names
        described = detector.describe_many(names[start:end])
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
        k: Candidates = NEIGHBOURS,
        min_probability: Least = None,
    ) -> SearchReply:
        """Search for the image in the body, which is not kept."""
        async with self._upload(request) as file:
            return await self._run(lambda: self._search(file.data, k, min_probability))

    async def batch(
        self, request: Request, k: Candidates = NEIGHBOURS, min_probability: Least = None
    ) -> BatchReply:
        """Search for every image of a form; an image that fails does not fail the others."""
        answers: list[BatchAnswer] = []
        async with self._form(request, field="images", most=MOST_IMAGES) as files:
            end = time.monotonic() + BATCH_SECONDS
            for file in files:
                # Each waits for its turn among the other requests.
                answers.append(
                    await self._run(partial(self._answer, file, k, min_probability, end))
                )
                file.data = b""
        failed = sum(answer.error is not None for answer in answers)
        return BatchReply(
            threshold=self._detector.threshold,
            references=len(self._detector),
            searched=len(answers) - failed,
            failed=failed,
            answers=answers,
        )

    def _answer(
        self, file: FormFile, k: int, min_probability: float | None, end: float
    ) -> BatchAnswer:
        if time.monotonic() > end:
            reason = f"not searched: the images before it took {BATCH_SECONDS:g} s; send it again"
            return BatchAnswer(name=file.label, compared=0, matches=[], error=reason)
        try:
            found = self._search(file.data, k, min_probability)
        except ImageError as error:
            return BatchAnswer(name=file.label, compared=0, matches=[], error=unusable(error))
        return BatchAnswer(name=file.label, compared=found.compared, matches=found.matches)

    async def lookup(self, request: Request) -> LookupReply:
        """Look an image up as clients of Hasher-Matcher-Actioner do: one signal type, one bank."""
        async with self._form(request, field="photo", most=1) as (file,):
            found = await self._run(lambda: self._search(file.data, NEIGHBOURS, None))
        accepted = any(match.accepted for match in found.matches)
        return LookupReply(asl=["references"] if accepted else [])

    def _search(self, data: bytes, k: int, min_probability: float | None) -> SearchReply:
        found = self._detector.query(
            data, k=k, min_probability=min_probability, seconds=COMPARE_SECONDS
        )
        matches = []
        for match in found:
            try:
                matches.append(MatchReply.of(match, self._describe(match.reference)))
            except AslError:
                continue  # removed meanwhile
        return SearchReply(
            threshold=self._detector.threshold,
            references=len(self._detector),
            compared=found.compared,
            matches=matches,
        )
