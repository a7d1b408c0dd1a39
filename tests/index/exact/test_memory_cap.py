"""What a search takes beside its inputs stays under the stated cap, measured from outside."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from asl.index.exact.memory_cap import MemoryCap
from asl.types import UsageError

CHILD = """
import sys, threading, time
import numpy as np
from asl.index.exact.exact_search import search
from asl.scoring.score import Score
from asl.types import QueryEmbeddings, ReferenceEmbeddings

def anonymous():
    for line in open("/proc/self/status"):
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024

folder, mode, memory = sys.argv[1], sys.argv[2], float(sys.argv[3])
vectors, norms = np.load(f"{folder}/v.npy", mmap_mode="r"), np.load(f"{folder}/n.npy")
references = ReferenceEmbeddings(np.arange(len(norms)).astype(str), vectors, norms)
queries = QueryEmbeddings(np.arange(3000).astype(str), np.array(vectors[:3000][::-1]), norms[:3000])
# Once before, so that libraries are loaded.
limits = {"k": 200, "engine": "faiss", "memory": memory}
search(queries.take(np.arange(50)), references, score=Score(mode), **limits)
before, peak, stop = anonymous(), [0], threading.Event()

def watch():
    while not stop.is_set():
        peak[0] = max(peak[0], anonymous())
        time.sleep(0.002)

thread = threading.Thread(target=watch)
thread.start()
found = search(queries, references, score=Score(mode, lam=0.1), **limits)
stop.set()
thread.join()
print(peak[0] - before, len(found))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("mode", ["cosine", "soft", "hinge", "strict"])
def test_a_search_keeps_to_its_memory(tmp_path: Path, mode: str) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((150_000, 256), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    np.save(tmp_path / "v.npy", vectors)
    np.save(tmp_path / "n.npy", np.sort(rng.normal(0, 0.3, 150_000).astype(np.float32))[::-1])
    cap = 1 / 32  # GiB; without one, between 12 MiB (strict) and 75 MiB (hinge) more are taken
    assert vectors.nbytes > 4 * cap * 2**30
    command = [sys.executable, "-c", CHILD, str(tmp_path), mode, str(cap)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    grown, pairs = map(int, done.stdout.split())
    assert pairs == 600_000 or mode == "strict"
    # The result, which is gathered beside: two rows, a score and a place of each pair.
    assert grown < cap * 2**30 + 36 * 600_000, f"{grown / 2**20:.0f} MiB"


def test_a_cap_is_divided_and_never_too_small_to_work() -> None:
    cap = MemoryCap.of(1.0, dim=254)
    assert cap.references * 256 * 4 == 2**28
    assert cap.encoded * 256 * 4 == 2**27
    assert cap.candidates * 128 == 2**28
    small = MemoryCap.of(2**-20, dim=512)
    assert (small.references, small.encoded, small.queries) == (1024, 1024, 64)
    with pytest.raises(UsageError, match=r"memory: must be more than 0 GiB, got 0"):
        MemoryCap.of(0, dim=8)
