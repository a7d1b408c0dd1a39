"""Counters of the service in the text format that Prometheus reads; no library, a lock and a few numbers."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from pathlib import Path

_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Meters:
    """What the service has done since it started."""

    def __init__(self) -> None:
        """Start at zero."""
        self._lock = threading.Lock()
        self._requests: dict[tuple[str, str, int], int] = defaultdict(int)
        self._seconds: dict[str, list[float]] = {}

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """One answered request."""
        with self._lock:
            self._requests[method, route, status] += 1
            cells = self._seconds.setdefault(route, [0.0] * (len(_BUCKETS) + 2))
            for place, bound in enumerate(_BUCKETS):
                cells[place] += seconds <= bound
            cells[-2] += 1
            cells[-1] += seconds

    def text(self, *, references: int, busy: int) -> str:
        """The page for Prometheus.

        Args:
            references: how many there are.
            busy: requests that are being worked on.
        """
        lines = ["# TYPE asl_requests_total counter"]
        with self._lock:
            for (method, route, status), number in sorted(self._requests.items()):
                lines.append(
                    f'asl_requests_total{{method="{method}",route="{route}",status="{status}"}} {number}'
                )
            lines.append("# TYPE asl_request_seconds histogram")
            for route, cells in sorted(self._seconds.items()):
                for bound, inside in zip(
                    (*_BUCKETS, "+Inf"), (*cells[:-2], cells[-2]), strict=True
                ):
                    lines.append(
                        f'asl_request_seconds_bucket{{route="{route}",le="{bound}"}} {inside:g}'
                    )
                lines.append(f'asl_request_seconds_count{{route="{route}"}} {cells[-2]:g}')
                lines.append(f'asl_request_seconds_sum{{route="{route}"}} {cells[-1]:.6g}')
        gauges = {
            "asl_references": references,
            "asl_requests_busy": busy,
            "asl_memory_bytes": resident_bytes(),
        }
        for name, value in gauges.items():
            lines += [f"# TYPE {name} gauge", f"{name} {value}"]
        return "\n".join(lines) + "\n"


def resident_bytes() -> int:
    """Memory that this process holds; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
