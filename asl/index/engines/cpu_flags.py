"""Instructions that the CPU has, where the system says so."""

from __future__ import annotations

from pathlib import Path


def cpu_flags() -> set[str]:
    """Return the flags and the vendor of the first processor; empty where Linux does not run."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return set()
    lines = text.split("\n\n")[0].splitlines()
    said = [line.partition(":") for line in lines if line.startswith(("flags", "vendor_id"))]
    return {word for _, _, words in said for word in words.split()}
