"""Hold many slow connections to `asl serve` and count who is answered meanwhile.

A third of the clients says nothing, a third drops its headers line by line, a third drops the body
of an upload; a connection that the service closes is opened again. Exit code 0: every other request
was answered.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from hostile_uploads import photo, request, started

OPENINGS = (
    b"",
    b"GET /health HTTP/1.1\r\n",
    b"POST /search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900000\r\n\r\n",
)


def main() -> int:
    """Start the service, hold the connections, ask."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--model", default="asl_lite1")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        started(Path(folder), options.model) as (_, port),
    ):
        report = asyncio.run(_run(port, options.clients, options.seconds))
    print(json.dumps(report, indent=1))
    return 0 if not report["unanswered"] else 1


async def _run(port: int, clients: int, seconds: float) -> dict[str, object]:
    end = time.monotonic() + seconds
    opened = Counter[str]()
    slow = [
        asyncio.create_task(_slow(port, OPENINGS[number % 3], end, opened))
        for number in range(clients)
    ]
    statuses, times = Counter[str](), [0.0]
    image = photo(0)
    while time.monotonic() < end:
        for method, path, body in (("GET", "/health", b""), ("POST", "/search", image)):
            began = time.monotonic()
            status, _ = await asyncio.to_thread(request, port, method, path, body)
            statuses[f"{method} {path}: {status}"] += 1
            if path == "/health":
                times.append(time.monotonic() - began)
        await asyncio.sleep(0.5)
    await asyncio.gather(*slow)
    return {
        "connections": opened["opened"],
        "answers": dict(sorted(statuses.items())),
        "slowest_health_seconds": round(max(times), 2),
        "unanswered": sum(count for name, count in statuses.items() if name.endswith(": 0")),
    }


async def _slow(port: int, opening: bytes, end: float, opened: Counter[str]) -> None:
    """Open a connection and say a little every second, again and again."""
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            opened["opened"] += 1
            writer.write(opening)
            while time.monotonic() < end and not writer.is_closing():
                await asyncio.sleep(1.0)
                if opening:
                    writer.write(b"a: b\r\n")
                    await writer.drain()
            writer.close()
        await asyncio.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
