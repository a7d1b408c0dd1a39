"""Exact search on a GPU for check_gpu.py: our engines beside FAISS, and cuVS where built in."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from bench_search import make
from gpu_bench import Bench

from asl.index.engines.faiss_flat import FaissFlat, load_faiss
from asl.index.engines.tensorcore import TensorCore
from asl.index.exact.exact_search import search as exact_search
from asl.scoring.score import Score

K = 10
MODES = ("cosine", "strict", "hinge", "soft")
AGREEMENT = 0.999  # share of equal rows in two exact lists, whose products are rounded differently


def search(bench: Bench) -> None:
    """Search exactly with our engines and with FAISS; cuVS where FAISS was built with it."""
    sizes, machine = bench.sizes, bench.machine
    queries, references = make(sizes.references, sizes.dim, sizes.queries)
    plain = Plain(load_faiss(), bench, queries.vectors, references.vectors)
    plain.measure()
    gpus = None if machine.kind == "cuda" else 0
    engines: dict[str, tuple[str, Callable[[], Any]]] = {
        "tensor cores": ("float16", lambda: TensorCore(device=machine.torch_device)),
        "FAISS": ("float32", lambda: FaissFlat(gpus=gpus)),
    }
    for title, (kind, make_engine) in engines.items():
        machine.free_caches()
        with bench.guarded(f"asl, {title}"):
            engine = make_engine()
            for mode in MODES:
                with bench.guarded(f"asl {mode}, {title}"):
                    run = partial(
                        exact_search,
                        queries,
                        references,
                        score=score_of(mode, references.log_norms),
                        k=K,
                        engine=engine,
                    )
                    pairs = plain.timed(f"asl {mode}, {title}", run, kind)
                    if mode == "cosine":
                        plain.compare(pairs.reference_index.reshape(-1, K))
            engine.close()


def score_of(mode: Any, log_norms: np.ndarray) -> Score:
    low, high = np.quantile(log_norms, [0.01, 0.99]).tolist()
    return Score(mode, lam=0.1, clip=(low, high) if mode == "soft" else None)


class Plain:
    """FAISS's indexes with nothing around them, and the work that every exact search has."""

    def __init__(
        self, faiss: Any, bench: Bench, queries: np.ndarray, references: np.ndarray
    ) -> None:
        self._faiss, self._bench = faiss, bench
        self._queries, self._references = queries, references
        self._expected: np.ndarray | None = None

    def measure(self) -> None:
        bench, faiss = self._bench, self._faiss
        on_gpu = bench.machine.kind == "cuda"
        with bench.guarded("FAISS flat"):
            index = self._flat(cuvs=False) if on_gpu else faiss.IndexFlatIP(self._dim)
            self._expected = self._filled("FAISS flat", index, index.add, "float32")
        if not (on_gpu and hasattr(faiss, "GpuIndexCagra")):
            bench.row("cuVS", note="not measured: needs a GPU, and FAISS built with it")
            return
        with bench.guarded("FAISS flat, cuVS"):
            index = self._flat(cuvs=True)
            self.compare(self._filled("FAISS flat, cuVS", index, index.add, "float32"))
        with bench.guarded("CAGRA (approximate)"):
            resources, config = faiss.StandardGpuResources(), faiss.GpuIndexCagraConfig()
            index = faiss.GpuIndexCagra(resources, self._dim, faiss.METRIC_INNER_PRODUCT, config)
            rows = self._filled("CAGRA (approximate)", index, index.train, "")
            bench.row("CAGRA: share of the exact lists", value=self._shared(rows))

    @property
    def _dim(self) -> int:
        return int(self._references.shape[1])

    def _flat(self, *, cuvs: bool) -> Any:
        config = self._faiss.GpuIndexFlatConfig()
        config.device = 0
        config.use_cuvs = cuvs
        return self._faiss.GpuIndexFlatIP(self._faiss.StandardGpuResources(), self._dim, config)

    def _filled(
        self, name: str, index: Any, fill: Callable[[np.ndarray], None], kind: str
    ) -> np.ndarray:
        start = time.perf_counter()
        fill(self._references)
        self._bench.machine.wait()
        self._bench.row(f"{name}: fill", value=time.perf_counter() - start, unit="s")
        _, rows = self.timed(name, lambda: index.search(self._queries, K), kind)
        return np.asarray(rows)

    def timed(self, name: str, run: Callable[[], Any], kind: str) -> Any:
        """Time a search and return its result; ``kind`` is the precision of its products."""
        with self._bench.machine.peak() as peak:
            taken, result = self._bench.timed(run, repeats=1)
        work: dict[str, Any] = {}
        if kind:
            width = 2 if kind == "float16" else 4
            flops = 2 * len(self._queries) * self._references.size
            work = {"kind": kind, "flops": flops, "bytes": width * self._references.size}
        rate = len(self._queries) / taken
        self._bench.row(name, value=rate, unit="queries/s", seconds=taken, peak=peak[0], **work)
        return result

    def compare(self, rows: np.ndarray) -> None:
        """Refuse lists that are not those of FAISS's own flat index."""
        share = self._shared(rows)
        if share < AGREEMENT:
            raise RuntimeError(f"only {share:.4f} of the rows are those of FAISS flat")

    def _shared(self, rows: np.ndarray) -> float:
        """Share of the exact lists' entries that are in these lists."""
        if self._expected is None:
            raise RuntimeError("FAISS flat failed, so there is nothing to compare with")
        pairs = zip(rows.tolist(), self._expected.tolist(), strict=True)
        return sum(len(set(a) & set(b)) for a, b in pairs) / self._expected.size
