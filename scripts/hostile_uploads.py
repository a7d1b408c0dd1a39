"""Send a thousand hostile uploads to a service of our own and report answers, memory and files.

  python scripts/hostile_uploads.py           starts `asl serve` in a temporary folder
  python scripts/hostile_uploads.py --count 200 --model runs/mine --report hostile.json

Bombs (pixels, compression, frames), truncated and mutated images, wrong types and formats, path
tricks in labels and addresses, forged lengths, broken HTTP, endless and very slow streams, foreign
hosts and origins. Exit code 0: no crash, no answer of 5xx except 503, no file out of place, memory
within bounds, all good references still found.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import re
import socket
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

MEGABYTES = 8  # the service's limit in this trial
LIMITS = ("--max-megabytes", str(MEGABYTES), "--max-megapixels", "20")
LEAK = 96 * 2**20  # bytes of growth, after the first tenth, that are still no leak
Reply = tuple[int, bytes]  # status 0: the connection was closed without an answer


def main() -> int:
    """Start the service, attack it, report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--model", default="asl_lite1")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--gigabyte", action="store_true", help="let one stream offer a whole gigabyte"
    )
    parser.add_argument("--report", type=Path)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        started(Path(folder), options.model) as (process, port),
    ):
        report = attack(Path(folder), process, port, options)
    text = json.dumps(report, indent=1)
    print(text)
    if options.report:
        options.report.write_text(text + "\n", encoding="utf-8")
    return 0 if report["verdict"] == "held" else 1


@contextlib.contextmanager
def started(folder: Path, model: str, limits: Sequence[str] = LIMITS):
    """The service in a process of its own, with its working directory in the folder."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "work").mkdir()
    command = [
        sys.executable,
        "-m",
        "asl",
        "serve",
        "--port",
        str(port),
        "--library",
        str(folder / "library"),
    ]
    command += [*limits, "--model", model]
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("MALLOC_")},
        "TMPDIR": str(folder / "work"),
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=folder / "work", env=environment, stdout=log, stderr=log
        )
        try:
            for _ in range(600):
                if process.poll() is not None:
                    raise SystemExit(f"the service did not start:\n{(folder / 'log').read_text()}")
                if request(port, "GET", "/ready")[0] == 200:
                    break
                time.sleep(0.1)
            yield process, port
        finally:
            process.terminate()
            process.wait(20)


def attack(folder: Path, process: subprocess.Popen, port: int, options: argparse.Namespace) -> dict:
    """Send everything, and look what is left."""
    rng = random.Random(options.seed)
    good = [photo(seed) for seed in range(5)]
    names = [
        json.loads(request(port, "POST", "/references", data)[1])["reference"]["id"]
        for data in good
    ]
    before = files(folder)
    kinds = attacks(rng, good, options)
    statuses: Counter[str] = Counter()
    memory: list[int] = []
    bad: list[str] = []
    began = time.monotonic()
    for number in range(options.count):
        name, send = kinds[number % len(kinds)]
        status = send(port)
        statuses[f"{name}: {status or 'closed'}"] += 1
        if status >= 500 and status != 503:
            bad.append(f"{name}: {status}")
        if process.poll() is not None:
            bad.append(f"{name}: the service died ({process.returncode})")
            break
        memory.append(resident(process.pid))
    seconds = time.monotonic() - began
    found = [matches(port, data) for data in good] if process.poll() is None else []
    lost = (
        sum(name not in ids for name, ids in zip(names, found, strict=False))
        + len(good)
        - len(found)
    )
    added = sorted(set(files(folder)) - set(before) - {"log"})
    growth = max(memory[-20:]) - max(memory[: max(20, len(memory) // 10)]) if memory else 0
    held = not bad and not lost and not added and growth < LEAK
    return {
        "verdict": "held" if held else "failed",
        "uploads": len(memory),
        "seconds": round(seconds, 1),
        "answers": dict(sorted(statuses.items())),
        "crashes_and_5xx": bad,
        "files_out_of_place": added,
        "references_lost": lost,
        "memory_start_mib": memory[0] >> 20 if memory else 0,
        "memory_end_mib": memory[-1] >> 20 if memory else 0,
        "memory_peak_mib": max(memory, default=0) >> 20,
        "memory_growth_after_warm_up_mib": growth >> 20,
        "log_lines_of_errors": (folder / "log").read_text(encoding="utf-8").count("Traceback"),
    }


def request(
    port: int, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> Reply:
    """A plain HTTP request; whatever is refused half-way counts with the answer that came."""
    fields = {
        "Host": f"127.0.0.1:{port}",
        "Content-Type": "image/jpeg",
        "Content-Length": str(len(body)),
        **(headers or {}),
    }
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(
        f"{key}: {value}\r\n" for key, value in fields.items()
    )
    return raw(port, head.encode("latin-1", "replace") + b"Connection: close\r\n\r\n", body)


def raw(port: int, head: bytes, body: bytes = b"", *, wait: float = 30) -> Reply:
    """Bytes to the socket, and the status that comes back."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=wait) as connection:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(head)
                for start in range(0, len(body), 65536):
                    connection.sendall(body[start : start + 65536])
            return _answer(connection)
    except OSError:
        return 0, b""


def _answer(connection: socket.socket) -> Reply:
    data = b""
    with contextlib.suppress(OSError):
        while chunk := connection.recv(65536):
            data += chunk
    first = data.split(b"\r\n", 1)[0].split()
    status = int(first[1]) if len(first) > 1 and first[1].isdigit() else 0
    return status, data.split(b"\r\n\r\n", 1)[-1]


def endless(port: int, total: int) -> int:
    """A chunked stream that goes on until the service has had enough."""
    host = f"Host: 127.0.0.1:{port}\r\n"
    head = f"POST /references HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n".encode()
    piece = b"10000\r\n" + b"\xff" * 65536 + b"\r\n"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(head)
                for _ in range(total // 65536):
                    connection.sendall(piece)
            return _answer(connection)[0]
    except OSError:
        return 0


def matches(port: int, data: bytes) -> list[str]:
    """Ids that a good image finds."""
    return [
        match["reference"]["id"]
        for match in json.loads(request(port, "POST", "/search", data)[1])["matches"]
    ]


def photo(seed: int) -> bytes:
    """A JPEG with structure."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
    noisy = np.asarray(Image.fromarray(small).resize((320, 240), Image.Resampling.BICUBIC)).astype(
        int
    )
    image = np.clip(noisy + rng.integers(-20, 20, noisy.shape), 0, 255).astype(np.uint8)
    return encoded(Image.fromarray(image), "JPEG")


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(width: int, height: int, data: bytes, *, ancillary: bytes = b"") -> bytes:
    """A PNG that says what it likes about itself."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content))
            + name
            + content
            + struct.pack(">I", zlib.crc32(name + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [
        chunk(b"IHDR", header),
        ancillary,
        chunk(b"IDAT", zlib.compress(data, 9)),
        chunk(b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def text_bomb() -> bytes:
    """A compressed text chunk of 64 MB in a tiny PNG."""
    content = b"key\0\0" + zlib.compress(b"a" * (64 * 2**20), 9)
    chunk = (
        struct.pack(">I", len(content))
        + b"zTXt"
        + content
        + struct.pack(">I", zlib.crc32(b"zTXt" + content))
    )
    return png(8, 8, b"\0" * 200, ancillary=chunk)


def attacks(
    rng: random.Random, good: list[bytes], options: argparse.Namespace
) -> list[tuple[str, Callable[[int], int]]]:
    """(kind, what sends one of it and gives the status); a search or an addition, by turns."""
    gif = encoded(
        Image.new("P", (64, 64)),
        "GIF",
        save_all=True,
        append_images=[Image.new("P", (64, 64), n) for n in range(200)],
    )
    tiff = encoded(Image.new("RGB", (64, 64)), "TIFF")
    route = lambda: rng.choice(["/references", "/search"])  # noqa: E731
    label = lambda: rng.choice(LABELS)  # noqa: E731
    big = 2**30 if options.gigabyte else 64 * 2**20

    def truncated(port: int) -> int:
        data = rng.choice(good)
        return request(port, "POST", route(), data[: rng.randrange(1, len(data))])[0]

    def mutated(port: int) -> int:
        data = bytearray(
            rng.choice(
                [
                    *good,
                    gif,
                    tiff,
                    encoded(Image.new("RGB", (50, 40)), rng.choice(["PNG", "WEBP", "BMP"])),
                ]
            )
        )
        for _ in range(rng.randrange(1, 40)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        return request(port, "POST", "/search", bytes(data))[0]

    def wrong_type(port: int) -> int:
        body = rng.choice(
            [
                b"<svg onload=alert(1)>",
                b"%PDF-1.7",
                b"\x80\x04cos\nsystem\n",
                b"MZ" * 99,
                b"PK\x03\x04" * 9,
                b"#!/bin/sh\nrm x",
            ]
        )
        kind = rng.choice(
            [
                "image/jpeg",
                "image/svg+xml",
                "text/html",
                "multipart/form-data; boundary=x",
                "application/json",
            ]
        )
        return request(port, "POST", route(), body, {"Content-Type": kind})[0]

    def path_trick(port: int) -> int:
        if rng.random() < 0.5:
            return request(port, rng.choice(["GET", "DELETE"]), "/references/" + label())[0]
        return request(port, "POST", "/references?label=" + label(), rng.choice(good)[:200])[0]

    def forged_length(port: int) -> int:
        length = rng.choice(
            ["-1", "99999999999999999999", "0x10", "10, 20", "1e3", str(2**31), " "]
        )
        return request(port, "POST", route(), rng.choice(good), {"Content-Length": length})[0]

    def broken_http(port: int) -> int:
        return raw(port, rng.choice(BROKEN), wait=6)[0]

    def half_way(port: int) -> int:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", port), timeout=5) as connection,
        ):
            connection.sendall(
                f"POST /search HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n".encode()
                + b"Content-Length: 5000\r\n\r\nabc"
            )
        return 0

    def stranger(port: int) -> int:
        headers = rng.choice(
            [
                {"Host": "evil.example"},
                {"Origin": "http://evil.example"},
                {"Sec-Fetch-Site": "cross-site"},
                {"Host": "127.0.0.1@evil"},
            ]
        )
        return request(port, "POST", route(), rng.choice(good), headers)[0]

    def form(port: int) -> int:
        path, body, kind = hostile_form(rng, good)
        return request(port, "POST", path, body, {"Content-Type": kind})[0]

    def post(data: bytes) -> Callable[[int], int]:
        return lambda port: request(port, "POST", route(), data)[0]

    huge = encoded(Image.new("L", (20_000, 20_000)), "PNG", optimize=True)
    return [
        ("truncated", truncated),
        ("mutated", mutated),
        ("wrong type", wrong_type),
        ("path trick", path_trick),
        ("pixel bomb, forged", post(png(60_000, 60_000, b"\0" * 10_000_000))),
        ("forged length", forged_length),
        ("pixel bomb, real", post(huge)),
        ("text bomb", post(text_bomb())),
        ("broken HTTP", broken_http),
        ("form", form),
        (
            "too large",
            lambda port: request(port, "POST", route(), b"\xff" * (MEGABYTES * 2**20 + 1))[0],
        ),
        ("frames", post(gif)),
        ("gone half-way", half_way),
        ("stranger", stranger),
        ("mutated", mutated),
        ("form", form),
        ("endless stream", lambda port: endless(port, big)),
        ("truncated", truncated),
        ("path trick", path_trick),
        ("short of data", post(png(4000, 4000, b"\0" * 1000))),
        ("empty", post(b"")),
        ("mutated", mutated),
    ]


def hostile_form(rng: random.Random, good: list[bytes]) -> tuple[str, bytes, str]:
    """Path, body and type of a form that is damaged, overfull, or names its files badly."""
    path, field = rng.choice(
        [
            ("/v1/search", b"image"),
            ("/v1/references", b"image"),
            ("/v1/search/batch", b"images"),
            ("/m/lookup", b"photo"),
        ]
    )
    name = rng.choice([b"../../library.sqlite", b"a\x00.jpg", b"=cmd", b"x" * 3000, b"a.jpg"])
    disposition = b'Content-Disposition: form-data; name="%b"; filename="%b"' % (field, name)
    data = rng.choice([*good, b"", b"\r\n--", b"--xyz--"])[: rng.choice([100, 10**6])]
    part = b"--xyz\r\n" + disposition + b"\r\n\r\n" + data + b"\r\n"
    body = bytearray(part * rng.choice([1, 1, 2, 150]) + b"--xyz--\r\n")
    for _ in range(rng.choice([0, 1, 30])):
        place = rng.randrange(len(body))
        body[place : place + 2] = rng.choice([b"", b"\r\n", b"--xyz", b"\0", b"\xff"])
    boundary = rng.choice(["xyz", "xyz", "xyz", "", "x" * 5000, '"xyz', "xy"])
    kind = f"multipart/form-data; boundary={boundary}"
    return path, bytes(body), kind


_CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
BROKEN = [
    b"GET / HTTP/9.9\r\n\r\n",
    b"\x00" * 500,
    b"POST /search\r\n\r\n",
    b"A" * 70_000,
    b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n\r\n",
    b"POST /search HTTP/1.1\r\nHost: 127.0.0.1\r\n" + _CHUNKED + b"ZZ\r\n",
    b"GET http://169.254.169.254/ HTTP/1.1\r\nHost: x\r\n\r\n",
]
LABELS = [
    "../../../etc/passwd",
    "..%2f..%2fetc%2fshadow",
    "%2e%2e/%2e%2e/library.sqlite",
    "/etc/passwd",
    "C:%5Cboot.ini",
    "%00.jpg",
    "a" * 3000,
    "%F0%9F%92%A5.jpg",
    "%ff%fe",
    "CON",
    "library.sqlite",
    "%0d%0aSet-Cookie:%20x=1",
    "http://127.0.0.1:22/",
    "file:///etc/passwd",
    "%3Cscript%3Ealert(1)%3C/script%3E",
    "0" * 32,
    "g" * 32,
]


def files(folder: Path) -> list[str]:
    """Every file below, by its relative path; what is beside the database counts as one each."""
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    beside = re.compile(r"(library/library-(?:local\.codes|vectors))/[\w.]+")
    return sorted(
        {beside.sub(r"\1", name.removesuffix("-wal").removesuffix("-shm")) for name in found}
    )


def resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf(
            "SC_PAGE_SIZE"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
