"""Middleware: authorisation, metrics, response headers; error replies."""

from __future__ import annotations

import errno
import hmac
import logging
import re
import sqlite3
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from asl.app.service.field_errors import field_error
from asl.app.service.prometheus import Metrics
from asl.app.service.uploads import Refused
from asl.console.schemas.serve_config import ServeConfig
from asl.data.images import ImageError
from asl.storage import ReadError, WriteError
from asl.types import AslError

OPEN_PATHS = (
    "/",
    "/docs",
    "/openapi.json",
    "/health",
    "/ready",
)  # answered without the token; they hold no image data
KNOWN_METHODS = ("GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT")
RESPONSE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
# Of the framework's errors, in its own words "Not Found" and "Method Not Allowed".
_FRAMEWORK_REASONS = {
    404: "there is no such path; /docs lists the paths",
    405: "the path does not take this method; /docs lists those that it takes",
}
_LOG = logging.getLogger("asl.serve")


@dataclass(frozen=True)
class ServiceOptions:
    """Limits of a service.

    Attributes:
        token: clients must send ``Authorization: Bearer TOKEN``; empty if none is required.
        hosts: names under which the service may be addressed.
        max_bytes: of an upload.
        max_uploads: uploads in work at once; ``max_bytes`` times this bounds their memory.
        workers: images embedded and compared at once.
        seconds: in which an upload has to arrive.
    """

    token: str = ""
    hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "::1")
    max_bytes: int = int(2**20 * ServeConfig.max_megabytes)
    max_uploads: int = ServeConfig.max_uploads
    workers: int = ServeConfig.workers
    seconds: float = 60.0


class Guard:
    """Check who asks, count what is answered, add headers to every response.

    Pages of other sites cannot use a browser on the same machine to talk to the service: ``Host``,
    ``Origin`` and ``Sec-Fetch-Site`` are checked.
    """

    def __init__(self, options: ServiceOptions, metrics: Metrics) -> None:
        """Set the limits and the counters."""
        self._options, self._metrics = options, metrics
        self._hosts = {host.lower() for host in options.hosts}

    async def __call__(
        self, request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        """Answer one request."""
        started = time.monotonic()
        try:
            self._check(request)
            response = await call_next(request)
        except Refused as refused:
            response = explain(request, refused)
        except Exception as error:
            response = _unexpected(request, error)
        for name, value in RESPONSE_HEADERS.items():
            response.headers.setdefault(name, value)
        route = getattr(request.scope.get("route"), "path", "other")
        method = request.method if request.method in KNOWN_METHODS else "other"
        self._metrics.count(method, route, response.status_code, time.monotonic() - started)
        return response

    def _check(self, request: Request) -> None:
        host = request.headers.get("host", "")
        well_formed = re.fullmatch(r"[\w.:\-\[\]]{1,260}", host)
        if not well_formed or _host_name(f"//{host}") not in self._hosts:
            raise Refused(
                403,
                f"this service does not answer to that Host; use {self._options.hosts[0]}",
                close=True,
            )
        origin = request.headers.get("origin")
        if origin is not None and _host_and_port(origin) != host:
            raise Refused(403, "pages of other sites may not use this service", close=True)
        if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            raise Refused(403, "pages of other sites may not use this service", close=True)
        if request.url.path not in OPEN_PATHS and not self.is_trusted(request):
            raise Refused(401, "send the token as `Authorization: Bearer TOKEN`", close=True)

    def is_trusted(self, request: Request) -> bool:
        """Check that the client has sent the token, or needs none."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        same = hmac.compare_digest(given.strip().encode(), self._options.token.encode())
        return not self._options.token or (scheme.lower() == "bearer" and same)


def _host_name(address: str) -> str | None:
    """Host of an address; None if the address is malformed (``//[``)."""
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _host_and_port(address: str) -> str | None:
    try:
        return urlsplit(address).netloc
    except ValueError:
        return None


def _unexpected(request: Request, error: Exception) -> Response:
    """Answer an unhandled error: 507 for a full disk, else 500 with a log entry."""
    if _is_disk_full(error):
        _LOG.error("%s %s: the disk is full", request.method, request.url.path)
        return JSONResponse({"error": "the server's disk is full; nothing was stored"}, 507)
    _LOG.exception("%s %s", request.method, request.url.path, exc_info=error)
    return JSONResponse({"error": "internal error; the server's log says more"}, 500)


def _is_disk_full(error: Exception) -> bool:
    if isinstance(error, sqlite3.OperationalError):
        return getattr(error, "sqlite_errorname", "") == "SQLITE_FULL"
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _storage_failed(request: Request, error: AslError) -> JSONResponse:
    """Answer a failure of the server's own files: 507 for a full disk, else 500."""
    _LOG.error("%s %s: %s", request.method, request.url.path, error)
    if isinstance(error, WriteError) and error.disk_full:
        return JSONResponse({"error": "the server's disk is full; nothing was stored"}, 507)
    return JSONResponse({"error": "internal error; the server's log says more"}, 500)


def explain_errors(app: FastAPI) -> None:
    """Let an application answer every expected error by :func:`explain`."""
    for kind in (Refused, AslError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, explain)


def explain(request: Request, error: Exception) -> JSONResponse:
    """Answer an error with its status and ``{"error": reason}``, without facts of the machine."""
    headers: dict[str, str] = {}
    if isinstance(error, Refused):
        status, reason = error.status, error.reason
        if error.close:  # the rest of a refused upload is not read
            headers["Connection"] = "close"
        if status == 503:
            headers["Retry-After"] = "1"
        if status == 401:
            headers["WWW-Authenticate"] = "Bearer"
    elif isinstance(error, ImageError):
        status, reason = (413 if error.too_large else 422), unusable(error)
    elif isinstance(error, RequestValidationError):
        status, reason = 422, field_error(error.errors()[0])
    elif isinstance(error, HTTPException):
        status = error.status_code
        reason = _FRAMEWORK_REASONS.get(status, str(error.detail))
        if status == 405:
            headers["Allow"] = ", ".join(_allowed_methods(request))
    elif isinstance(error, WriteError | ReadError):
        return _storage_failed(request, error)
    else:
        status, reason = 422, str(error)
    return JSONResponse({"error": reason}, status, headers=headers)


def unusable(error: ImageError) -> str:
    """Return the reason for the client why an image cannot be used."""
    return f"no usable image: {error.reason}"


def _allowed_methods(request: Request) -> list[str]:
    """List the methods of every route of the requested path."""
    allowed: set[str] = set()
    for route in request.app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            allowed |= route.methods or set()
    return sorted(allowed)
