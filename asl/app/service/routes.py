"""The service: a detector behind HTTP, made for the machine that it runs on.

An image is the body of a request and is kept in memory while it is looked at. No address is fetched
and no path is
taken from a client: references are known by ids that the server makes from their content. Pages of
other sites cannot use a browser on the same machine to talk to it (``Host``, ``Origin`` and
``Sec-Fetch-Site`` are checked).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import resources
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

import anyio
from fastapi import Depends, FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException

from asl import __version__
from asl.app.detector import CopyDetector
from asl.app.library.ingest import Source
from asl.app.library.sources import content_id
from asl.app.service.prometheus import Meters
from asl.app.service.replies import AddReply, Error, ListReply, MatchReply, Reference, SearchReply
from asl.app.service.uploads import Gate, Refused, clean_label, read_body
from asl.data.images import ImageError
from asl.report.style import STYLE
from asl.types import AslError

_LOG = logging.getLogger("asl.serve")
_OPEN = ("/", "/health", "/ready")  # answered without the token; they say nothing about the images
_READERS = 4  # looks into the store at once
_Result = TypeVar("_Result")
Id = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="of a reference")]
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class ServiceOptions:
    """Limits of a service.

    Attributes:
        token: clients must send ``Authorization: Bearer TOKEN``; empty: none is asked for.
        hosts: names under which the service may be addressed.
        max_bytes: of an upload.
        max_uploads: that are taken at once; ``max_bytes`` times this bounds the memory of waiting
            uploads.
        workers: images that are looked at at once.
        seconds: in which an upload has to arrive.
    """

    token: str = ""
    hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "::1")
    max_bytes: int = 32 * 2**20
    max_uploads: int = 16
    workers: int = 2
    seconds: float = 60.0


def create_app(detector: CopyDetector, options: ServiceOptions | None = None) -> FastAPI:
    """The service around a detector, which should keep its references in a folder."""
    service = _Service(detector, options or ServiceOptions())
    refusals: dict[int | str, dict[str, Any]] = {
        code: {"model": Error} for code in (400, 401, 403, 408, 413, 415, 422, 503)
    }
    app = FastAPI(
        title="asl",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        responses=refusals,
        description="Which image was this one made from? The body of a request is the image itself.",
        dependencies=[Depends(_known_only)],
    )
    app.middleware("http")(service.guard)
    for kind in (Refused, AslError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, _explain)
    image = {
        "requestBody": {
            "required": True,
            "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}},
        }
    }
    app.get("/", response_class=HTMLResponse, include_in_schema=False)(service.page)
    app.get("/health", summary="Is the process alive?")(service.health)
    app.get("/ready", summary="Can it answer?")(service.ready)
    app.get("/metrics", response_class=PlainTextResponse, summary="Counters for Prometheus")(
        service.metrics
    )
    app.post("/references", status_code=201, openapi_extra=image, summary="Add an image")(
        service.add
    )
    app.get("/references", summary="List references")(service.listing)
    app.get("/references/{id}", responses={404: {"model": Error}})(service.get)
    app.get("/references/{id}/picture", response_class=Response, responses={404: {"model": Error}})(
        service.picture
    )
    app.delete("/references/{id}", status_code=204, responses={404: {"model": Error}})(
        service.remove
    )
    app.post("/search", openapi_extra=image, summary="What was this image made from?")(
        service.search
    )
    return app


class _Service:
    def __init__(self, detector: CopyDetector, options: ServiceOptions) -> None:
        self._detector, self._options = detector, options
        self._meters, self._gate = Meters(), Gate(options.max_uploads)
        self._hosts = {host.lower() for host in self._options.hosts}
        self._limiters: tuple[anyio.CapacityLimiter, anyio.CapacityLimiter] | None = None
        self._page, self._policy = _prepared_page()

    async def _run(self, work: Callable[[], _Result], *, quick: bool = False) -> _Result:
        """Work in a thread; what is quick (a look into the store) does not queue behind what looks at images."""
        if self._limiters is None:  # needs a running loop
            self._limiters = (
                anyio.CapacityLimiter(self._options.workers),
                anyio.CapacityLimiter(_READERS),
            )
        return await anyio.to_thread.run_sync(work, limiter=self._limiters[quick])

    async def guard(
        self, request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        """Who may ask, what is counted, what every answer carries."""
        started = time.monotonic()
        try:
            self._check(request)
            response = await call_next(request)
        except Refused as refused:
            response = _explain(request, refused)
        except Exception:
            _LOG.exception("%s %s", request.method, request.url.path)
            response = JSONResponse({"error": "internal error; the server's log says more"}, 500)
        response.headers.update(
            {key: value for key, value in _HEADERS.items() if key not in response.headers}
        )
        route = getattr(request.scope.get("route"), "path", "other")
        self._meters.count(
            _method(request), route, response.status_code, time.monotonic() - started
        )
        return response

    def _check(self, request: Request) -> None:
        host = request.headers.get("host", "")
        name = (
            urlsplit(f"//{host}").hostname if re.fullmatch(r"[\w.:\-\[\]]{1,260}", host) else None
        )
        if name not in self._hosts:
            raise Refused(
                403,
                f"this service does not answer to that Host; use {self._options.hosts[0]}",
                close=True,
            )
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            raise Refused(403, "pages of other sites may not use this service", close=True)
        if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            raise Refused(403, "pages of other sites may not use this service", close=True)
        if request.url.path not in _OPEN and not self._trusted(request):
            raise Refused(401, "send the token as `Authorization: Bearer TOKEN`", close=True)

    def _trusted(self, request: Request) -> bool:
        """Whether the client has sent the token, or needs none."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        right = hmac.compare_digest(given.strip().encode(), self._options.token.encode())
        return not self._options.token or (scheme.lower() == "bearer" and right)

    async def page(self) -> HTMLResponse:
        """The page to drop images on."""
        return HTMLResponse(self._page, headers={"Content-Security-Policy": self._policy})

    async def health(self) -> dict[str, str]:
        """The process answers."""
        return {"status": "ok", "version": __version__}

    async def ready(self, request: Request) -> dict[str, Any]:
        """The model is loaded and the store can be read; how many references there are is told to those who may ask."""
        await self._run(lambda: self._detector.store.known(""), quick=True)
        told = {"references": len(self._detector)} if self._trusted(request) else {}
        return {"status": "ready", **told, "token": bool(self._options.token)}

    async def metrics(self) -> PlainTextResponse:
        """Counters since the start."""
        text = self._meters.text(references=len(self._detector), busy=self._gate.busy)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    async def _upload(self, request: Request) -> bytes:
        return await read_body(
            request, max_bytes=self._options.max_bytes, seconds=self._options.seconds
        )

    async def add(
        self,
        request: Request,
        response: Response,
        label: Annotated[str, Query(max_length=1000)] = "",
    ) -> AddReply:
        """Add the image in the body; the same image again changes nothing (200)."""
        async with self._gate.enter():
            data = await self._upload(request)
            name = content_id(data)
            source = Source(name, data, clean_label(label))
            reply = await self._run(lambda: self._add(source))
        response.status_code = 201 if reply.new else 200
        return reply

    def _add(self, source: Source) -> AddReply:
        if source.name in self._detector:
            try:
                return AddReply(reference=self._describe(source.name), new=False)
            except AslError:
                pass  # removed just now: it is added again
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
    ) -> ListReply:
        """References, oldest first."""
        names = self._detector.names
        part = names[offset : offset + limit]
        found = await self._run(lambda: self._detector.describe_many(part), quick=True)
        return ListReply(total=len(names), references=[Reference.of(*item) for item in found])

    async def get(self, id: Id) -> Reference:
        """One reference."""
        return await self._run(lambda: self._known(id), quick=True)

    def _known(self, name: str) -> Reference:
        if name not in self._detector:
            raise Refused(404, "there is no such reference")
        return self._describe(name)

    async def picture(self, id: Id) -> Response:
        """A small picture of a reference."""
        data = await self._run(lambda: self._detector.picture(id), quick=True)
        if not data:
            raise Refused(404, "there is no such reference")
        return Response(data, media_type="image/jpeg")

    async def remove(self, id: Id) -> Response:
        """Forget a reference."""
        if not await self._run(lambda: self._detector.remove(id)):
            raise Refused(404, "there is no such reference")
        return Response(status_code=204)

    async def search(
        self,
        request: Request,
        k: Annotated[
            int, Query(ge=1, le=100, description="candidates whose pixels are compared")
        ] = 10,
        min_probability: Annotated[
            float | None, Query(ge=0, le=1, description="leave out less probable ones")
        ] = None,
    ) -> SearchReply:
        """Search for the image in the body; it is not kept."""
        async with self._gate.enter():
            data = await self._upload(request)
            return await self._run(lambda: self._search(data, k, min_probability))

    def _search(self, data: bytes, k: int, least: float | None) -> SearchReply:
        matches = []
        for match in self._detector.query(data, k=k, min_probability=least):
            try:
                matches.append(MatchReply.of(match, self._describe(match.reference)))
            except AslError:
                continue  # removed while the answer was written
        return SearchReply(
            threshold=self._detector.threshold, references=len(self._detector), matches=matches
        )


async def _known_only(request: Request) -> None:
    """Refuse parameters that the route does not have: a misspelt one would be ignored."""
    route = request.scope["route"]
    known = [field.alias for field in route.dependant.query_params]
    unknown = sorted(set(request.query_params) - set(known))
    if unknown and route.path not in _OPEN:
        hint = f"known are {', '.join(known)}" if known else "there are none here"
        raise Refused(400, f"there is no parameter {unknown[0][:40]!r}; {hint}")


def _explain(request: Request, error: Exception) -> JSONResponse:
    """Every error as ``{"error": why}`` with a status; nothing of the machine in it."""
    headers = {}
    if isinstance(error, Refused):
        status, reason = error.status, error.reason
        # The rest of a refused upload is not read.
        headers = {"Connection": "close"} if error.close else {}
        headers |= {"Retry-After": "1"} if status == 503 else {}
        headers |= {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    elif isinstance(error, ImageError):
        status, reason = (413 if error.too_large else 422), f"no usable image: {error.reason}"
    elif isinstance(error, RequestValidationError):
        first = error.errors()[0]
        status, reason = 422, f"{'.'.join(map(str, first['loc'][1:]))}: {first['msg']}"
    elif isinstance(error, HTTPException):
        status, reason = error.status_code, str(error.detail)
    else:
        status, reason = 422, str(error)
    return JSONResponse({"error": reason}, status, headers=headers)


def _method(request: Request) -> str:
    return (
        request.method
        if request.method in ("GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT")
        else "other"
    )


def _prepared_page() -> tuple[str, str]:
    """The page with its style sheet, and a policy that lets nothing run but its own script."""
    text = resources.files("asl.app.service").joinpath("service.html").read_text(encoding="utf-8")
    text = text.replace("/*STYLE*/", STYLE)
    script = text.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return text, policy
