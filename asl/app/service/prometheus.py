"""Metrics of the service for Prometheus."""

from __future__ import annotations

import os
from pathlib import Path

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

LATENCY_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds
CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """Counters since the service started, in a registry of their own."""

    def __init__(self) -> None:
        """Start at zero."""
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "asl_requests",
            "Answered requests.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "asl_request_seconds",
            "Time to answer a request.",
            ("route",),
            registry=self._registry,
            buckets=LATENCY_BUCKETS,
        )
        self._references = Gauge("asl_references", "References.", registry=self._registry)
        self._busy = Gauge("asl_requests_busy", "Uploads in work.", registry=self._registry)
        memory = Gauge("asl_memory_bytes", "Resident memory.", registry=self._registry)
        memory.set_function(resident_bytes)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self, *, references: int, busy: int) -> bytes:
        """Render all metrics in Prometheus' text format.

        Args:
            references: number of references.
            busy: number of uploads in work.
        """
        self._references.set(references)
        self._busy.set(busy)
        return generate_latest(self._registry)


def resident_bytes() -> int:
    """Return the resident memory of this process; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
