"""scripts/check_gpu.py: sections fail alone; what runs on CUDA alone runs here with a stand-in."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.index.engines.fake_faiss import FakeFaiss, FakeIndex

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
GIB = 2**30
REHEARSAL = ["--device", "cpu", "--scale", "tiny"]


class CuvsFaiss(FakeFaiss):
    """A build with cuVS: flat indexes of both kinds, and a graph that finds all but one in ten."""

    METRIC_INNER_PRODUCT = 0
    GpuIndexCagraConfig = SimpleNamespace

    def GpuIndexFlatIP(self, _: Any, dim: int, config: Any) -> FakeIndex:
        return FakeIndex(self, dim, config.device)

    def GpuIndexCagra(self, _: Any, dim: int, metric: int, config: Any) -> Any:
        index = FakeIndex(self, dim, 0)
        search = index.search

        def nearly(queries: Any, m: int) -> Any:
            scores, rows = search(queries, m)
            rows[:, -1] = -1
            return scores, rows

        return SimpleNamespace(train=index.add, search=nearly)


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(SCRIPTS))

    def load(name: str) -> Any:
        return importlib.import_module(name)

    return load


@pytest.fixture
def cuda(scripts: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A machine that says cuda; its tensors are on the CPU, behind a stand-in for torch.cuda."""
    import torch

    calls: list[str] = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: calls.append("synchronize"))
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: calls.append("empty_cache"))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Stand-in H100")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (78 * GIB, 80 * GIB))
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: calls.append("pin") or tensor)
    machine = scripts("gpu_bench").Machine("cuda", "cpu")
    yield SimpleNamespace(machine=machine, calls=calls)
    torch.set_float32_matmul_precision("highest")


def bench(scripts: Any, machine: Any, section: str, folder: Path) -> Any:
    parts = scripts("gpu_bench")
    return parts.Bench(section, machine, parts.SCALES["tiny"], folder / "rows.jsonl")


def test_limits_are_measured_on_the_device(scripts: Any, cuda: Any, tmp_path: Path) -> None:
    made = bench(scripts, cuda.machine, "limits", tmp_path)
    scripts("gpu_sections").limits(made)
    rows = {row["name"]: row for row in made.written}
    assert len(rows) == 6
    assert all(row["value"] > 0 for row in rows.values())
    assert cuda.calls.count("synchronize") >= 2 * (5 * 6 + 4)
    assert "pin" in cuda.calls, "copies from the host are from pinned memory"
    assert cuda.machine.name() == "Stand-in H100"


@pytest.mark.parametrize("build", [FakeFaiss, CuvsFaiss])
def test_searches_stand_beside_faiss_on_gpus(
    scripts: Any, cuda: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, build: Any
) -> None:
    from asl.index.engines import faiss_flat

    fake = build(1)
    monkeypatch.setattr(scripts("gpu_search"), "load_faiss", lambda: fake)
    monkeypatch.setattr(faiss_flat, "load_faiss", lambda: fake)
    made = bench(scripts, cuda.machine, "search", tmp_path)
    scripts("gpu_search").search(made)
    assert not [row for row in made.written if "error" in row]
    rows = {row["name"]: row for row in made.written}
    for mode in ("cosine", "strict", "hinge", "soft"):
        for engine, width in (("tensor cores", 2), ("FAISS", 4)):
            row = rows[f"asl {mode}, {engine}"]
            assert row["value"] == pytest.approx(200 / row["seconds"])
            assert row["flops"] == 2 * 200 * 3000 * 32
            assert row["bytes"] == width * 3000 * 32
            assert row["peak"] == 2 * GIB
    assert fake.sent[0] == (0, 3000)
    if build is CuvsFaiss:
        assert rows["CAGRA: share of the exact lists"]["value"] == pytest.approx(0.9)
        assert rows["FAISS flat, cuVS"]["kind"] == "float32"
    else:
        assert rows["cuVS"]["note"].startswith("not measured")


def test_wrong_lists_are_a_failure(
    scripts: Any, cuda: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeFaiss(1)
    monkeypatch.setattr(scripts("gpu_search"), "load_faiss", lambda: fake)
    search = FakeIndex.search

    def shifted(self: FakeIndex, queries: Any, m: int) -> Any:
        scores, rows = search(self, queries, m)
        return scores, (rows + 1) % 3000

    monkeypatch.setattr(FakeIndex, "search", shifted)
    made = bench(scripts, cuda.machine, "search", tmp_path)
    scripts("gpu_search").search(made)
    errors = {row["name"]: row["error"] for row in made.written if "error" in row}
    assert "of the rows are those of FAISS flat" in errors["asl cosine, tensor cores"]


def test_a_measurement_that_fails_is_a_row_and_the_next_one_runs(
    scripts: Any, cuda: Any, tmp_path: Path
) -> None:
    made = bench(scripts, cuda.machine, "training", tmp_path)
    with made.guarded("first"):
        raise RuntimeError("CUDA error: out of memory\nand a page of advice")
    made.row("second", value=1.0)
    written = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert written[0]["error"] == "RuntimeError: CUDA error: out of memory"
    assert written[1]["value"] == 1.0


WORKER = """
import json, os, subprocess, sys, time
section, rows = sys.argv[1], sys.argv[4]
def row(**values):
    with open(rows, "a") as file:
        file.write(json.dumps({"section": section, **values}) + "\\n")
if section == "limits":
    row(name="device", device="Stand-in H100")
    row(name="float32 product", value=2.0, unit="TFLOP/s")
    row(name="copy on the device", value=1000.0, unit="GB/s")
elif section == "tests":
    os.abort()
elif section == "search":
    row(name="exact", value=10.0, unit="queries/s", seconds=4.0, kind="float32", flops=2e12,
        bytes=1e9, peak=2**31)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    open(os.path.join(os.environ["FOLDER"], "child"), "w").write(str(child.pid))
    time.sleep(600)
elif section == "training":
    row(name="bf16", error="RuntimeError: no")
"""


def test_each_section_survives_the_others(
    scripts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    check = scripts("check_gpu")
    (tmp_path / "worker.py").write_text(WORKER)
    monkeypatch.setattr(check, "WORKER", tmp_path / "worker.py")
    monkeypatch.setattr(check, "BUDGETS", dict.fromkeys(check.BUDGETS, 10))
    monkeypatch.setenv("FOLDER", str(tmp_path))
    assert check.main([*REHEARSAL, "--output", str(tmp_path / "out")]) == 1
    result = json.loads((tmp_path / "out" / "results.json").read_text())
    errors = {row["section"]: row["error"] for row in result["rows"] if "error" in row}
    assert result["failed"] == 4
    assert errors["tests"].startswith("ended with code -6")
    assert errors["search"] == "stopped after its budget of 10 s"
    assert errors["extraction"] == "measured nothing"
    assert errors["training"] == "RuntimeError: no"
    assert result["device"] == "Stand-in H100"
    exact = next(row for row in result["rows"] if row["name"] == "exact")
    assert exact["of_limit"] == pytest.approx(0.25), "1 s at 2 TFLOP/s, 4 s measured"
    table = capsys.readouterr().out
    assert "| search | exact | 10 queries/s | 0.25 | 2.00 GiB |" in table
    assert "4 failed" in table
    assert table.count("\n- ") == 4
    child = Path(f"/proc/{(tmp_path / 'child').read_text()}/cmdline")
    assert not (child.is_file() and child.read_text()), "nothing is left running"


def test_without_a_gpu_one_line_says_so(
    scripts: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    import torch

    check = scripts("check_gpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert check.main([]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "finds no CUDA device; rehearse with --device cpu --scale tiny" in error


def test_the_budgets_of_all_sections_are_under_eight_minutes(scripts: Any) -> None:
    check = scripts("check_gpu")
    assert sum(check.BUDGETS.values()) < 8 * 60
    assert set(check.BUDGETS) == set(scripts("gpu_sections").SECTIONS)


def test_every_test_that_needs_a_gpu_is_where_the_script_looks() -> None:
    tests = SCRIPTS.parent / "tests"
    mark = ".".join(["pytest", "mark", "gpu"])
    marked = [path for path in tests.rglob("*.py") if mark in path.read_text(encoding="utf-8")]
    assert marked
    assert all(path.is_relative_to(tests / "index") for path in marked)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_all_sections_run_on_a_cpu(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "check_gpu.py"), *REHEARSAL, "--stretch", "20"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "outputs" / "check-gpu" / "results.json").read_text())
    assert result["failed"] == 0
    assert result["device"].startswith("cpu")
    values = {row["name"]: row.get("value", np.nan) for row in result["rows"]}
    for name in (
        "float16 product",
        "asl strict, tensor cores",
        "asl_lite0: extract / limit",
        "bf16: asl.train / bare",
    ):
        assert values[name] > 0, name
    assert done.stdout.startswith("cpu ")
