r"""Check everything that needs a GPU, once, in under eight minutes on one H100 or H200. No data.

  python scripts/check_gpu.py
  python scripts/check_gpu.py --sections search training --output outputs/check-gpu
  python scripts/check_gpu.py --device cpu --scale tiny --stretch 10     # rehearsal without a GPU

Sections: *limits* (plain matrix products and copies: what the device can do), *tests* (those marked
gpu), *search* (50,000 queries, 1,000,000 references, 512 dimensions, beside FAISS and cuVS),
*extraction* (beside decoding and the model alone), *training* (beside a bare loop; bf16,
torch.compile). Each runs in a process of its own with a time budget: one that fails, crashes or is
too slow is counted and listed, and the others still run. OUTPUT gets results.json and table.md.
Exit code 1 if anything failed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from asl.storage import atomic_text, write_json

BUDGETS = {"limits": 40, "tests": 70, "search": 170, "extraction": 80, "training": 110}  # seconds
WORKER = Path(__file__).with_name("gpu_sections.py")
Row = dict[str, Any]


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    if options.device == "cuda" and (problem := missing_gpu()):
        print(f"error: {problem}; rehearse with --device cpu --scale tiny", file=sys.stderr)
        return 2
    facts = {
        "command": " ".join([Path(sys.argv[0]).name, *(arguments or sys.argv[1:])]),
        "device": options.device,
        "scale": options.scale,
        "versions": {name: version(name) for name in ("torch", "lightning", "faiss-gpu", "numpy")},
    }
    start, rows = time.perf_counter(), list[Row]()
    for section in options.sections:
        budget = options.stretch * BUDGETS[section]
        for row in run_section(section, options.device, options.scale, budget):
            if "device" in row:
                facts["device"] = row["device"]
            else:
                rows.append(row)
        write(options.output, facts, rows, time.perf_counter() - start)
    print((options.output / "table.md").read_text(encoding="utf-8"))
    return 1 if failures(rows) else 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sections", nargs="+", choices=tuple(BUDGETS), default=tuple(BUDGETS))
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--scale", choices=("full", "tiny"), default="full")
    parser.add_argument(
        "--stretch", type=float, default=1.0, help="multiplies every section's time budget"
    )
    parser.add_argument("--output", type=Path, default=Path("outputs/check-gpu"))
    return parser.parse_args(arguments)


def missing_gpu() -> str:
    """Why torch cannot use a GPU; empty if it can."""
    import torch

    if torch.cuda.is_available():
        return ""
    return f"torch {torch.__version__} finds no CUDA device"


def version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def run_section(section: str, device: str, scale: str, budget: float) -> list[Row]:
    """The rows of a section, up to where it ended."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        command = [sys.executable, str(WORKER), section, device, scale, str(path)]
        error = run_limited(command, budget, Path(folder) / "stderr.txt")
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    rows: list[Row] = [json.loads(line) for line in lines if line.endswith("}")]
    if error or not rows:
        error = error or "measured nothing"
        rows.append({"section": section, "name": section, "error": error})
    taken = time.perf_counter() - start
    return [*rows, {"section": section, "name": "whole section", "value": taken, "unit": "s"}]


def run_limited(command: list[str], budget: float, log: Path) -> str:
    """Run a command and end all its processes after its budget; why it failed, or empty."""
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=stderr, start_new_session=True
        )
        try:
            code = process.wait(budget)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            with suppress(ProcessLookupError):  # those that it left behind hold memory of the GPU
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if code is None:
        return f"stopped after its budget of {budget:.0f} s"
    last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
    return f"ended with code {code}: {' '.join(last)[:300]}" if code else ""


def failures(rows: list[Row]) -> list[Row]:
    return [row for row in rows if "error" in row]


def with_limits(rows: list[Row]) -> list[Row]:
    """Add to each search the share of the device's limit that it reaches.

    The limit is the longer of two times: its multiplications at the rate of the plain product, and
    one reading of the references at the rate of the plain copy.
    """
    measured = {
        row["name"]: row["value"] for row in rows if row["section"] == "limits" and "value" in row
    }
    copied = measured.get("copy on the device")
    found = []
    for row in rows:
        rate = measured.get(f"{row.get('kind')} product")
        if rate and copied and "seconds" in row:
            least = max(row["flops"] / (rate * 1e12), row["bytes"] / (copied * 1e9))
            row = {**row, "of_limit": least / row["seconds"]}
        found.append(row)
    return found


def write(output: Path, facts: dict[str, Any], rows: list[Row], seconds: float) -> None:
    """Write what is known so far."""
    rows = with_limits(rows)
    failed = len(failures(rows))
    write_json(
        output / "results.json", {**facts, "seconds": seconds, "failed": failed, "rows": rows}
    )
    with atomic_text(output / "table.md") as file:
        file.write(table(facts, rows, seconds))


def table(facts: dict[str, Any], rows: list[Row], seconds: float) -> str:
    """Everything as one Markdown table, and the failures again below it."""
    lines = [
        f"{facts['device']}, scale {facts['scale']}, {seconds:.0f} s",
        "",
        "| section | what | result | of the limit | peak memory |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(f"| {row['section']} | {row['name']} | {cells(row)} |")
    failed = failures(rows)
    lines += [
        "",
        f"{len(failed)} failed",
        *(f"- {row['section']}: {row['name']}: {row['error']}" for row in failed),
    ]
    return "\n".join(lines) + "\n"


def cells(row: Row) -> str:
    """Result, share of the limit and peak memory of a row."""
    result = row.get("note", "")
    if "error" in row:
        result = "FAILED"
    elif "value" in row:
        result = f"{row['value']:,.4g} {row.get('unit', '')}".strip()
    share = f"{row['of_limit']:.2f}" if "of_limit" in row else ""
    peak = f"{row['peak'] / 2**30:.2f} GiB" if "peak" in row else ""
    return f"{result} | {share} | {peak}"


if __name__ == "__main__":
    sys.exit(main())
