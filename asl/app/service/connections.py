"""Connections of the service: a deadline for headers, and a limit that silent ones cannot exhaust.

The server has neither: a client that connects and says nothing would keep its place, and beyond
a limit everyone would be refused. Here the connection that has been idle longest is closed
for each new one beyond the limit.

A refused upload is answered before it has arrived. To close the connection then would reset it, and
the client would lose the answer: the rest is read and dropped, within bounds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 10.0  # from connecting, or from the last answer, to the end of the headers
DRAIN_SECONDS = 10.0  # for the rest of a refused upload
DRAIN_BYTES = 2**30
_REASON = b'{"error": "the headers did not arrive in time"}'
_TOO_LATE = (
    b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_REASON), _REASON)
)


class _PoliteTransport:
    """A transport whose ``close`` is another function; the rest is passed on."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self._transport = transport
        self.close = close

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class WatchedConnection(H11Protocol):
    """A connection that is closed where it is silent for too long, or others need its place.

    The largest number of connections is the server's ``limit_concurrency``.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Take over the limit of the server, which would answer 503 to everyone."""
        super().__init__(*arguments, **options)
        self._most, self.limit_concurrency = self.limit_concurrency, None
        self._timer: asyncio.TimerHandle | None = None
        self._heard = False
        self._to_drain = 0  # bytes; 0: nothing is drained

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the deadline; make room for this connection."""
        self._close_now = transport.close
        polite = _PoliteTransport(transport, self._close_when_read)
        super().connection_made(cast(asyncio.Transport, polite))
        self._since = self.loop.time()
        self._watch()
        if self._most is not None and len(self.connections) > self._most:
            self._close_longest_idle()

    def data_received(self, data: bytes) -> None:
        """Stop the deadline when a request is complete enough to be worked on."""
        if self._to_drain:
            self._to_drain -= min(len(data), self._to_drain)
            if not self._to_drain:
                self._close_now()
            return
        self._heard = True
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Start the deadline of the next request."""
        super().on_response_complete()
        if self._to_drain:
            self._unset_keepalive_if_required()  # the drain has a deadline of its own
            return
        self._since, self._heard = self.loop.time(), False
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        super().connection_lost(exc)
        self._stop_timer()

    def _close_when_read(self) -> None:
        """Close; after an answer to a request whose body is still arriving, read that first."""
        answered = self.cycle is not None and self.cycle.response_complete
        unread = answered and self.cycle.more_body and not self._to_drain
        if not unread or not self.transport.can_write_eof():
            self._close_now()
            return
        self._to_drain = DRAIN_BYTES
        self.transport.write_eof()  # the client sees the end of the answer
        self.flow.resume_reading()
        self._stop_timer()
        self._timer = self.loop.call_later(DRAIN_SECONDS, self._close_now)

    @property
    def _rank(self) -> int:
        """0: idle; 1: waits for its client; 2: is worked on."""
        if self.cycle is None or self.cycle.response_complete:
            return 0
        return 1 if self.cycle.more_body or self.flow.write_paused else 2

    def _watch(self) -> None:
        if self._rank > 0:
            self._stop_timer()
        elif self._timer is None:
            self._timer = self.loop.call_later(HEADER_SECONDS, self._close)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _close(self) -> None:
        if self._heard and not self.transport.is_closing():
            self.transport.write(_TOO_LATE)
        self.transport.close()

    def _close_longest_idle(self) -> None:
        others = [
            other
            for other in self.connections
            if isinstance(other, WatchedConnection)
            and other is not self
            and other._rank < 2
            and not other.transport.is_closing()
        ]
        if others:
            min(others, key=lambda other: (other._rank, other._since)).transport.abort()
